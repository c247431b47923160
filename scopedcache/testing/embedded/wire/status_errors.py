"""Why a request is refused: one exception, shaped as the `Status` that the API server answers with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

Body = dict[str, Any]


@attrs.frozen
class Cause:
    """One entry of `details.causes`: a field, what kind of mistake it is (`FieldValueInvalid` …), and words."""

    field: str
    reason: str
    message: str

    @classmethod
    def required(cls, field: str, words: str = "") -> Cause:
        return cls(field, "FieldValueRequired", f"Required value: {words}" if words else "Required value")

    @classmethod
    def wrong(cls, field: str, value: str, words: str) -> Cause:
        """`value` is written as it is told: in quotes where it is a string."""
        return cls(field, "FieldValueInvalid", f"Invalid value: {value}: {words}")

    @classmethod
    def forbidden(cls, field: str, words: str) -> Cause:
        return cls(field, "FieldValueForbidden", f"Forbidden: {words}")

    @classmethod
    def unsupported(cls, field: str, value: str, choices: Iterable[Any]) -> Cause:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        return cls(field, "FieldValueNotSupported", f"Unsupported value: {value}: supported values: {listed}")


class StatusError(Exception):
    """An answer that is no success. `text` True is a plain-text answer, as for a path that nobody serves."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        text: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        self.metadata = dict(metadata or {})
        self.text = text

    def status(self) -> Body:
        """Return the body."""
        status: Body = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        status |= {"message": self.message, "reason": self.reason}
        if self.details:
            status["details"] = dict(self.details)
        return status | {"code": self.code}


def details(group: str, kind: str, name: str = "", **more: Any) -> Body:
    """Return the `details` of a Status; what is empty is left out, as on the server."""
    fields = {"name": name, "group": group, "kind": kind} | more
    return {key: value for key, value in fields.items() if value}


def subject(group: str, resource: str) -> str:
    """Return a resource as messages name it: `deployments.apps`."""
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> StatusError:
    words = f'{subject(group, resource)} "{name}" not found'
    return StatusError(404, "NotFound", words, details(group, resource, name))


def no_such_path() -> StatusError:
    return StatusError(404, "NotFound", "404 page not found\n", text=True)


def already_exists(group: str, resource: str, name: str) -> StatusError:
    words = f'{subject(group, resource)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", words, details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str = "") -> StatusError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    words = f'Operation cannot be fulfilled on {subject(group, resource)} "{name}": {why}'
    return StatusError(409, "Conflict", words, details(group, resource, name))


def expired(words: str = "", token: str = "") -> StatusError:
    words = words or "The provided continue parameter is too old to display a consistent list result."
    return StatusError(410, "Expired", words, metadata={"continue": token} if token else None)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def not_acceptable(offered: Iterable[str]) -> StatusError:
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(offered)}")


def method_not_allowed(group: str, resource: str) -> StatusError:
    words = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", words, details(group, resource))


def unsupported_media_type(wanted: Iterable[str]) -> StatusError:
    words = "the body of the request was in an unknown format - accepted media types include: "
    return StatusError(415, "UnsupportedMediaType", words + ", ".join(wanted))


def invalid(group: str, kind: str, name: str, causes: Iterable[Cause]) -> StatusError:
    """Return a 422; the message joins the causes as the server does."""
    causes = list(causes)
    spelled = [f"{c.field}: {c.message}" for c in causes]
    words = f'{kind}.{group} "{name}" is invalid: ' if group else f'{kind} "{name}" is invalid: '
    words += spelled[0] if len(spelled) == 1 else f"[{', '.join(spelled)}]"
    listed = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return StatusError(422, "Invalid", words, details(group, kind, name, causes=listed))


def too_large_version(wanted: int, current: int) -> StatusError:
    words = f"Too large resource version: {wanted}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return StatusError(
        504, "Timeout", f"Timeout: {words}", {"causes": [cause], "retryAfterSeconds": 1}, headers={"Retry-After": "1"}
    )


def forbidden(group: str, resource: str, name: str, why: str, causes: list[Body] | None = None) -> StatusError:
    """Return a 403 with the server's words; `why` tells who was refused what."""
    named = f'{subject(group, resource)} "{name}" is forbidden' if name else f"{subject(group, resource)} is forbidden"
    return StatusError(403, "Forbidden", f"{named}: {why}", details(group, resource, name, causes=causes))
