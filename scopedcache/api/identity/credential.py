"""What a login comes to at one moment, and the seam to those who fetch it."""

from __future__ import annotations

import base64
import math
from typing import Protocol

import attrs

from .rest_config import BasicAuth, ClientCertificate


@attrs.frozen
class Credential:
    """What is sent with a request to say who we are.

    Attributes:
        authorization: the Authorization header, None where there is none.
        certificate: a client certificate that came with it, ahead of the kubeconfig's.
        fresh_seconds: how long it is used without a look at where it came from.
        valid_seconds: how long it may be used where that look fails.
        secrets: what must not be shown, in every form that it is sent in.
    """

    authorization: str | None = attrs.field(default=None, repr=False)
    certificate: ClientCertificate | None = None
    fresh_seconds: float = math.inf
    valid_seconds: float = math.inf
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)

    @classmethod
    def bearer(cls, token: str, **limits: float) -> Credential:
        return cls(f"Bearer {token}", secrets=(token,), **limits)  # type: ignore[arg-type]  # the limits are floats

    @classmethod
    def basic(cls, login: BasicAuth) -> Credential:
        encoded = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        return cls(f"Basic {encoded}", secrets=(encoded, login.password))


class CredentialSource(Protocol):
    """Fetches the credential of one login."""

    async def fetch(self, refused: str | None = None) -> Credential:
        """Return the credential as it is now; waits for files, programs and servers, always within a limit.

        `refused` is a header that the server answered 401: another one is wanted.

        Raises:
            ConfigurationError: it cannot be had; the message names the login and quotes no secret.
        """
