"""Objects and watch lines as an API server writes them."""

from __future__ import annotations

import asyncio
from typing import Any

from scopedcache.api.client import Client
from scopedcache.api.codec import decode_object
from scopedcache.api.watch.event_decoder import INITIAL_EVENTS_END_ANNOTATION
from scopedcache.kinds import GVK, GVR, Resource
from scopedcache.objects import Entry
from tests.unit.informer.fake_transport import FakeTransport, bytes_of, status

PODS = Resource(GVR("", "v1", "pods"), GVK("", "v1", "Pod"), namespaced=True)
NODES = Resource(GVR("", "v1", "nodes"), GVK("", "v1", "Node"), namespaced=False)


def pod(name: str, version: int | str, *, uid: str = "", namespace: str = "a", **metadata: Any) -> dict[str, Any]:
    """Return a Pod; its UID is made from its name unless given. `owner=` names the UID of its owner."""
    owner = metadata.pop("owner", None)
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Owner", "name": owner, "uid": owner}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            **metadata,
        },
    }


def entry(name: str, version: int | str, **rest: Any) -> Entry:
    return decode_object(bytes_of(pod(name, version, **rest)))[0]


def line(type_: str, body: dict[str, Any]) -> bytes:
    return b'{"type":"' + type_.encode() + b'","object":' + bytes_of(body) + b"}"


def added(name: str, version: int | str, **rest: Any) -> bytes:
    return line("ADDED", pod(name, version, **rest))


def modified(name: str, version: int | str, **rest: Any) -> bytes:
    return line("MODIFIED", pod(name, version, **rest))


def deleted(name: str, version: int | str, **rest: Any) -> bytes:
    return line("DELETED", pod(name, version, **rest))


def bookmark(version: int | str, *, end: bool = False) -> bytes:
    """Return a BOOKMARK; `end` marks the end of the initial events."""
    annotations = {"annotations": {INITIAL_EVENTS_END_ANNOTATION: "true"}} if end else {}
    return line(
        "BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(version), **annotations}}
    )


def error(code: int, reason: str, **details: Any) -> bytes:
    return line("ERROR", status(code, reason, f"words of {code}", **details))


def pods(version: int | str, *items: dict[str, Any], token: str = "") -> dict[str, Any]:
    """Return one page of a list; its items carry no kind, as those of built-in lists do."""
    bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    metadata = {"resourceVersion": str(version), **({"continue": token} if token else {})}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": bare}


async def learn(client: Client, server: FakeTransport, *resources: Resource) -> None:
    """Let a client find out what the server serves, so that no later request is for that."""
    for version in dict.fromkeys(resource.gvk.api_version for resource in resources):
        served = [resource for resource in resources if resource.gvk.api_version == version]
        learning = asyncio.ensure_future(client.discovery.resolve(served[0].gvk))
        (await server.asked()).answer(
            {
                "resources": [
                    {"name": one.gvr.resource, "kind": one.gvk.kind, "namespaced": one.namespaced} for one in served
                ]
            }
        )
        await learning
        for resource in served:
            await client.discovery.resolve(resource.gvk)
    server.log.clear()
