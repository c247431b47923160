"""Making an object that is there somebody's."""

from __future__ import annotations

from ..api import Client
from ..objects import Object
from .owners import set_controller_reference


async def adopt(client: Client, owner: Object, obj: Object) -> Object:
    """Make `owner` the controller of an object that has none; return it as it is then.

    Sends nothing where it has a controller, whoever that is, or is being deleted. The patch carries the owner
    references alone, with the version they were read at.

    Raises:
        ValueError: the pair is illegal: see `set_controller_reference`.
        ConflictError: the object changed since it was read.
    """
    if obj.controller is not None or obj.deletion_timestamp:
        return obj
    draft = Object.from_dict(
        {
            "apiVersion": obj.api_version,
            "kind": obj.kind,
            "metadata": {
                "name": obj.name,
                "namespace": obj.namespace,
                "ownerReferences": list(obj.at("metadata", "ownerReferences", default=[])),
            },
        }
    )
    set_controller_reference(owner, draft)
    references = draft.at("metadata", "ownerReferences")
    patch = {"metadata": {"resourceVersion": obj.resource_version, "ownerReferences": references}}
    return await client.patch(obj.gvk, obj.key, patch)
