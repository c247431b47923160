"""How an object goes out: whole, its metadata alone, or as a row of a table; the client's `Accept` chooses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from .kinds import Kind
from .messages import JSON
from .refusals import Body, not_acceptable
from .storage import Stored
from .tables import columns_of, row_of

View = Literal["whole", "metadata", "table"]
OFFERED = ("application/json",)
_VIEWS: dict[str, View] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}
_META = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
_encode = msgspec.json.Encoder().encode


def view_of(accept: str) -> View:
    """Return the first view among those accepted that there is.

    Raises:
        Refusal: 406, only other formats are accepted.
    """
    for offer in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in offer.split(";"))
        if media not in (JSON, "*/*", "application/*"):
            continue
        values = dict(part.partition("=")[::2] for part in parameters)
        if "as" not in values:
            return "whole"
        if values["as"] in _VIEWS and values.get("v", "v1") == "v1":
            return _VIEWS[values["as"]]
    raise not_acceptable(OFFERED)


def object_bytes(stored: Stored, version: str, view: View, now: float = 0.0) -> bytes:
    """Return an object in a version of its kind."""
    if view == "whole":
        return _versioned(stored, version)
    if view == "metadata":
        return _META + _encode(stored.metadata) + b"}"
    return _encode(table(stored.kind, version, [stored], {"resourceVersion": stored.metadata["resourceVersion"]}, now))


def event_bytes(type_: str, rendered: bytes) -> bytes:
    """Return a line of a watch."""
    return b'{"type":"' + type_.encode() + b'","object":' + rendered + b"}\n"


def list_bytes(
    kind: Kind, version: str, view: View, found: Iterable[Stored], metadata: Body, now: float = 0.0
) -> bytes:
    """Return a list. Items of built-in kinds carry no kind and no apiVersion, as on the server."""
    if view == "table":
        return _encode(table(kind, version, found, metadata, now))
    if view == "metadata":
        head: Body = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        items = [object_bytes(stored, version, view) for stored in found]
    else:
        api_version = f"{kind.group}/{version}" if kind.group else version
        head = {"kind": kind.list_name or f"{kind.name}List", "apiVersion": api_version, "metadata": metadata}
        items = [_versioned(s, version) if kind.custom else b"{" + s.raw[_head(s) :] for s in found]
    return _encode(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"


def table(kind: Kind, version: str, found: Iterable[Stored], metadata: Body, now: float) -> Body:
    """Return a Table, which is what `kubectl get` asks for."""
    columns = columns_of(kind, version)
    rows = [
        {"cells": row_of(columns, stored.body, now), "object": msgspec.Raw(object_bytes(stored, version, "metadata"))}
        for stored in found
    ]
    definitions = [column.definition for column in columns]
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return head | {"columnDefinitions": definitions, "rows": rows}


def _versioned(stored: Stored, version: str) -> bytes:
    kind = stored.kind
    api_version = f"{kind.group}/{version}" if kind.group else version
    if stored.body["apiVersion"] == api_version:
        return stored.raw
    return b'{"kind":"%b","apiVersion":"%b",' % (kind.name.encode(), api_version.encode()) + stored.raw[_head(stored) :]


def _head(stored: Stored) -> int:
    """Return how long `{"kind":"…","apiVersion":"…",` is in the bytes of an object."""
    return 27 + len(stored.body["kind"]) + len(stored.body["apiVersion"])
