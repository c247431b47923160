"""Logins that need no program and no server: a token, a password, a file with a token, or nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from ...errors import ConfigurationError
from .credential import Credential
from .rest_config import BasicAuth, Token, TokenFile
from .system_errors import words_of_system

# The API server itself trusts a verified token for ten seconds (TokenSuccessCacheTTL).
FRESH_SECONDS: Final = 10.0


class FixedSource:
    """A token, a password, or nothing: TLS alone says who we are."""

    def __init__(self, login: Token | BasicAuth | None) -> None:
        self.credential = credential_of(login)

    async def fetch(self, refused: str | None = None) -> Credential:
        return self.credential


class TokenFileSource:
    """A token in a file, read again every ten seconds, and after a 401."""

    def __init__(self, login: TokenFile) -> None:
        self._login = login

    async def fetch(self, refused: str | None = None) -> Credential:
        """Return what stands in the file.

        Raises:
            ConfigurationError: it cannot be read, or is empty, and there is no other token.
        """
        return await asyncio.to_thread(self.read)

    def read(self) -> Credential:
        """Return the same at once. Blocks."""
        try:
            return Credential.bearer(_read(self._login.path), fresh_seconds=FRESH_SECONDS)
        except ConfigurationError:
            if self._login.initial is None:
                raise
        return Credential.bearer(self._login.initial, fresh_seconds=FRESH_SECONDS)


def credential_of(login: Token | BasicAuth | None) -> Credential:
    match login:
        case Token():
            return Credential.bearer(login.value)
        case BasicAuth():
            return Credential.basic(login)
        case _:
            return Credential()


def _read(path: str) -> str:
    try:
        token = Path(path).read_bytes().decode(errors="replace").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the token file {path}: {words_of_system(error)}") from None
    if not token:
        raise ConfigurationError(f"the token file {path} is empty")
    if "\ufffd" in token or any(ord(char) < 32 or ord(char) == 127 for char in token):
        raise ConfigurationError(f"the token file {path} holds a control character within the token, or is not text")
    return token
