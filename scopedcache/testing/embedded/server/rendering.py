"""How an object goes out: whole, its metadata alone, or as a row of a table; the client's `Accept` chooses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from ..kinds import event_groups as events
from ..kinds.kind import Kind
from ..kinds.printer_columns import columns_of, row_of
from ..storage.storage import Stored
from ..wire.messages import JSON, Request
from ..wire.status_errors import Body, not_acceptable

View = Literal["whole", "metadata", "table"]
OFFERED: Final = ("application/json",)
_VIEWS: Final[dict[str, View]] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}
_META: Final = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":'
_encode = msgspec.json.Encoder().encode


def view_of(request: Request) -> View:
    """Return the first view among those accepted that there is.

    Raises:
        StatusError: 406, only other formats are accepted.
    """
    for offer in (request.headers.get("accept") or "*/*").split(","):
        media, *parameters = (part.strip() for part in offer.split(";"))
        if media not in (JSON, "*/*", "application/*"):
            continue
        values = dict(part.partition("=")[::2] for part in parameters)
        if "as" not in values:
            return "whole"
        if values["as"] in _VIEWS and values.get("v", "v1") == "v1":
            return _VIEWS[values["as"]]
    raise not_acceptable(OFFERED)


def object_bytes(stored: Stored, api_version: str, view: View, now: float = 0.0) -> bytes:
    """Return an object in a version of its kind, or in the other group that it is served in."""
    if view == "whole":
        return _versioned(stored, api_version)
    if view == "metadata":
        return _META + _encode(stored.metadata) + b"}"
    return _encode(
        table(stored.kind, api_version, [stored], {"resourceVersion": stored.metadata["resourceVersion"]}, now)
    )


def event_bytes(type_: str, rendered: bytes) -> bytes:
    """Return a line of a watch."""
    return b'{"type":"' + type_.encode() + b'","object":' + rendered + b"}\n"


def list_bytes(
    kind: Kind, api_version: str, view: View, objects: Iterable[Stored], metadata: Body, now: float = 0.0
) -> bytes:
    """Return a list. Items of built-in kinds carry no kind and no apiVersion, as on the server."""
    if view == "table":
        return _encode(table(kind, api_version, objects, metadata, now))
    if view == "metadata":
        head: Body = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        items = [object_bytes(stored, api_version, view) for stored in objects]
    else:
        head = {"kind": kind.list_name or f"{kind.name}List", "apiVersion": api_version, "metadata": metadata}
        items = [_versioned(s, api_version) if kind.custom else _item(s, api_version) for s in objects]
    return _encode(head)[:-1] + b',"items":[' + b",".join(items) + b"]}"


def table(kind: Kind, api_version: str, objects: Iterable[Stored], metadata: Body, now: float) -> Body:
    """Return a Table, which is what `kubectl get` asks for."""
    columns = columns_of(kind, api_version.rpartition("/")[2])
    rows = [
        {
            "cells": row_of(columns, stored.body, now),
            "object": msgspec.Raw(object_bytes(stored, api_version, "metadata")),
        }
        for stored in objects
    ]
    definitions = [column.definition for column in columns]
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return head | {"columnDefinitions": definitions, "rows": rows}


def _versioned(stored: Stored, api_version: str) -> bytes:
    if stored.body["apiVersion"] == api_version:
        return stored.raw
    if stored.kind.key == events.KEY:
        return _encode(events.converted(stored.body, api_version))
    head = b'{"kind":"%b","apiVersion":"%b",' % (stored.kind.name.encode(), api_version.encode())
    return head + stored.raw[_head(stored) :]


def _item(stored: Stored, api_version: str) -> bytes:
    """Return an item of a list of a built-in kind: without its kind and apiVersion."""
    if stored.kind.key == events.KEY:
        body = events.converted(stored.body, api_version)
        return _encode({key: value for key, value in body.items() if key not in ("kind", "apiVersion")})
    return b"{" + stored.raw[_head(stored) :]


def _head(stored: Stored) -> int:
    """Return how long `{"kind":"…","apiVersion":"…",` is in the bytes of an object."""
    return 27 + len(stored.body["kind"]) + len(stored.body["apiVersion"])
