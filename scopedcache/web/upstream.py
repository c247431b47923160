"""The way to the API server that requests of others take."""

from __future__ import annotations

from typing import Final

import aiohttp

from ..api import Client
from ..api.http_transport import HTTPTransport
from ..errors import ConfigurationError

# What aiohttp raises when nobody answered; its time-outs are TimeoutErrors.
NOBODY_ANSWERED: Final = (aiohttp.ClientError, TimeoutError, OSError)


def http_transport(client: Client) -> HTTPTransport:
    """Return the client's transport.

    Raises:
        ConfigurationError: the client does not speak HTTP.
    """
    if not isinstance(client.transport, HTTPTransport):
        raise ConfigurationError("this client does not speak HTTP: nothing can be forwarded its way")
    return client.transport
