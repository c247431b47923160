"""The CA bundle in webhook configurations: whom the API server trusts when it asks us."""

from __future__ import annotations

import base64
from typing import Any, Final, Literal

import attrs

from ..api import Client
from ..errors import NotFoundError
from ..kinds import GVK
from ..kit import retry_on_conflict
from ..objects import Object

_GROUP: Final = "admissionregistration.k8s.io"


@attrs.frozen
class WebhookConfiguration:
    """A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration, by its name."""

    kind: Literal["Validating", "Mutating"]
    name: str

    @property
    def gvk(self) -> GVK:
        """Return group, version and kind of the configuration."""
        return GVK(_GROUP, "v1", f"{self.kind}WebhookConfiguration")


def with_bundle(configuration: Object, bundle: bytes) -> bool:
    """Put a bundle into every webhook of a configuration, in place; tell whether that changed something."""
    encoded, changed = base64.b64encode(bundle).decode(), False
    for webhook in configuration.at("webhooks", default=[]) or []:
        client: dict[str, Any] = webhook.setdefault("clientConfig", {})
        changed = changed or client.get("caBundle") != encoded
        client["caBundle"] = encoded
    return changed


async def write_bundle(client: Client, configuration: WebhookConfiguration, bundle: bytes) -> bool:
    """Write a bundle into a configuration that lacks it; tell whether there is such a configuration."""

    async def write(found: Object) -> None:
        if with_bundle(found, bundle):
            await client.update(found)

    try:
        await retry_on_conflict(lambda: client.get(configuration.gvk, configuration.name), write)
    except NotFoundError:
        return False
    return True
