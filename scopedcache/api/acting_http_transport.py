"""Requests to the same server as somebody else: over the same connections, but for reviews, and by other headers.

A token of somebody else goes over connections that show no client certificate: a server asks that one first, and would
answer as to us. What differs by user is only what is sent: connections carry no session of their own.
"""

from __future__ import annotations

import asyncio

import attrs

from ..errors import ConfigurationError
from .http_transport import HEADERS, Connection, HTTPTransport
from .identity.credential import Credential
from .transport import Acting


class ActingHTTPTransport(HTTPTransport):
    """The transport of somebody else, made by `HTTPTransport.acting_as`; it ends with the one that it was made of."""

    def __init__(self, principal: HTTPTransport, acting: Acting) -> None:
        super().__init__(principal.configuration, shared=principal)
        self._principal = principal
        self._acting = acting
        # The reviews of each user keep to one connection, see `access/readiness.py`.
        self._reviews = self.session(limit=1, headers=HEADERS, auto_decompress=False)

    def acting_as(self, acting: Acting) -> HTTPTransport:
        """Refuse: nobody acts through somebody else."""
        raise ConfigurationError("this client acts as somebody else already: act from the program's own")

    async def connection(self, *, refused: Connection | None = None) -> Connection:
        """Return how the next request is sent; see `HTTPTransport.connection`.

        Raises:
            ForbiddenError, TransportError: there is no token.
        """
        if self._acting.tokens is None:
            ours = await self._principal.connection(refused=refused)
            headers = ours.headers.copy()
            headers.extend(self._acting.headers)
            return attrs.evolve(ours, headers=headers)
        others = await self._principal.connection_for_others()
        before = refused.credential.secrets[0] if refused is not None and refused.credential.secrets else None
        credential = Credential.bearer(await self._acting.tokens.token(before))
        headers = others.headers.copy()
        headers["Authorization"] = credential.authorization or ""
        return attrs.evolve(others, credential=credential, headers=headers)

    def connection_at_once(self) -> Connection:
        """Refuse: other libraries' clients have no part in it."""
        raise ConfigurationError("a client that acts as somebody else hands out no client of another library")

    async def close(self) -> None:
        """Close its own streams, and its connection for reviews."""
        streams = list(self._streams)
        for stream in streams:
            stream.close()
        await asyncio.gather(self._reviews.close(), *[stream.wait_closed() for stream in streams])
