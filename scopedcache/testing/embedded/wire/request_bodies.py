"""The bodies of requests: decoded by their content type, within limits."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from . import protobuf
from .messages import Request
from .status_errors import StatusError, bad_request, unsupported_media_type

BODY_LIMIT_BYTES: Final = 3 * 1024 * 1024
_READABLE: Final = ("application/json", "application/yaml")


def content_type(request: Request) -> str:
    """Return the media type of a body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decoded(request: Request, *, yaml: bool = False) -> Any:
    """Return the body of a request.

    Raises:
        StatusError: 400 it cannot be read; 413 it is too large; 415 its type is none we read.
    """
    if len(request.body) > BODY_LIMIT_BYTES:
        words = f"Request entity too large: limit is {BODY_LIMIT_BYTES}"
        raise StatusError(413, "RequestEntityTooLarge", words)
    media = content_type(request) or _READABLE[0]
    if yaml or media == "application/yaml":
        return _yaml(request.body)
    if media == protobuf.MEDIA_TYPE:
        return _protobuf(request.body)
    if media not in _READABLE and not media.endswith("-patch+json"):
        raise unsupported_media_type(_READABLE)
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"the object provided is unrecognized (must be of type JSON): {error}") from error


def _protobuf(body: bytes) -> Any:
    try:
        found = protobuf.decode(body)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized (must be of type protobuf): {error}") from error
    if found is None:
        raise unsupported_media_type(_READABLE)
    return found


def _yaml(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)  # JSON is YAML, and most of what comes
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    import yaml

    try:
        return yaml.load(body, Loader=_timeless(yaml))
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from error


def _timeless(yaml: Any) -> Any:
    """Return a loader that leaves times as they are written: JSON knows none."""

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in resolvers.items()
    }
    return Loader
