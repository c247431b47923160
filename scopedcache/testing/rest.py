"""Plain JSON requests to an API server: blocking, for the harness only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import attrs
import urllib3

from ..errors import (
    AlreadyExistsError,
    APIError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnauthorizedError,
)

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

_BY_STATUS: Final[dict[int, type[APIError]]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: TooManyRequestsError,
}


@attrs.define(eq=False, repr=False)
class Rest:
    """A door to one API server; `token` is asked anew for each request, so that a refreshed one is used at once."""

    url: str
    ca_file: str
    _pool: urllib3.PoolManager | None = attrs.field(default=None, init=False)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str,
        content_type: str = JSON,
        accept: str = JSON,
        query: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        """Send a request and return the decoded answer.

        Raises:
            APIError: the server refused; the leaf of the status code, with the Status message in words.
            TransportError: nobody answered.
        """
        target = self.url + path + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Accept": accept}
        if content is not None:
            headers["Content-Type"] = content_type
        try:
            answer = self.pool.request(method, target, body=content, headers=headers, timeout=timeout, retries=False)
        except urllib3.exceptions.HTTPError as error:
            raise TransportError(f"{method} {path}: {type(error).__name__}") from error
        return read_answer(method, path, answer.status, answer.data)

    @property
    def pool(self) -> urllib3.PoolManager:
        """Return the connections; made at the first request, because the CA file is written by the server itself."""
        if self._pool is None:
            self._pool = urllib3.PoolManager(ca_certs=self.ca_file, cert_reqs="CERT_REQUIRED", maxsize=16)
        return self._pool

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        if self._pool is not None:
            self._pool.clear()

    def forget(self) -> None:
        """Close the idle connections; the next request reads the CA file again."""
        self.close()
        self._pool = None

    def __repr__(self) -> str:
        return f"<Rest {self.url}>"


def read_answer(method: str, path: str, status: int, data: bytes) -> dict[str, Any]:
    """Return the object in the answer (text that is no JSON under the key `text`), or raise what the status means."""
    try:
        answer = json.loads(data) if data else {}
    except ValueError:
        answer = {"text": data.decode(errors="replace")}
    if not isinstance(answer, dict):
        answer = {"value": answer}
    if status < 400:
        return answer
    message = answer.get("message") or answer.get("text") or ""
    raise error_class(status, answer.get("reason", ""))(
        f"{method} {path}: {message}",
        status=status,
        reason=answer.get("reason", ""),
        details=answer.get("details") or {},
    )


def error_class(status: int, reason: str) -> type[APIError]:
    """Return the leaf of the error tree for a status code and the reason of its Status."""
    if reason == "AlreadyExists":
        return AlreadyExistsError
    if status >= 500:
        return ServerError
    return _BY_STATUS.get(status, APIError)
