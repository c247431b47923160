"""The least of OpenAPI v2, in protobuf: kubectl reads nothing else where a kind is in no v3 document (`kind: List`).

The numbers are those of gnostic's published `OpenAPIv2.proto`.
"""

from __future__ import annotations

from typing import Final

from ..wire.messages import Answer
from .discovery_documents import VERSION

OPENAPI_V2: Final = "/openapi/v2"
MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

# For a kind it does not find, kubectl takes what Namespaces support.
_PATH: Final = "/api/v1/namespaces/{name}"
_KIND: Final = 'group: ""\nkind: Namespace\nversion: v1\n'


def openapi_v2() -> Answer:
    """Return the document: that patches of any kind may ask the server for validation."""
    parameters = b"".join(_field(8, _query(name)) for name in ("fieldValidation", "dryRun"))
    kind = _field(13, _text(1, "x-kubernetes-group-version-kind") + _field(2, _text(2, _KIND)))
    path_item = _field(8, parameters + kind)
    paths = _field(2, _text(1, _PATH) + _field(2, path_item))
    info = _text(1, "Kubernetes") + _text(2, str(VERSION["gitVersion"]))
    return Answer(200, _text(1, "2.0") + _field(2, info) + _field(8, paths), MEDIA_TYPE)


def _query(name: str) -> bytes:
    """Return a ParametersItem: a parameter, not of the body, in the query."""
    return _field(1, _field(2, _field(3, _text(2, "query") + _text(4, name) + _text(6, "string"))))


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    written = b""
    while number > 0x7F:
        written += bytes([number & 0x7F | 0x80])
        number >>= 7
    return written + bytes([number])
