"""The certificate that /metrics is served with: `tls.crt` and `tls.key` in a folder, as cert-manager mounts them.

Files that are replaced are taken up with the next connection; where the new ones cannot be read, the old ones go on.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

from ...api.identity.tls import stamps
from ...errors import ConfigurationError
from ...event_logger import event_logger

logger: Final = event_logger("scopedcache.controller")

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"


class ServingCertificate:
    """What a server hands to `create_server(ssl=…)`.

    Args:
        folder: where the two files are.

    Raises:
        ConfigurationError: they cannot be read, or do not belong together.
    """

    def __init__(self, folder: str | Path) -> None:
        self._files = tuple(str(Path(folder) / name) for name in (CERTIFICATE, KEY))
        self._stamps = stamps(self._files)
        self.context = self._current = self._load()
        self.context.sni_callback = self._renew

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            words = f"{certificate} and {key} are no certificate with its key: {error}"
            raise ConfigurationError(words) from error
        return context

    def _renew(self, connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: Any) -> None:
        """Give a new connection the certificate that is there now; called in each handshake."""
        now = stamps(self._files)
        if now != self._stamps:
            self._stamps = now
            try:
                self._current = self._load()
            except ConfigurationError as error:
                logger.warning("configuration.unreadable", extra={"error": str(error)})
        connection.context = self._current


def _no_password() -> str:
    raise ValueError("the key has a passphrase")
