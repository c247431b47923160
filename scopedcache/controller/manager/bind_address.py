"""Where to listen, as people write it."""

from __future__ import annotations

from typing import Final

import attrs

from ...errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
PORT_MAX: Final = 65535


@attrs.frozen
class BindAddress:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str | int | BindAddress) -> BindAddress:
        """Read `8081`, `:8081`, `host:8081` or `[::1]:8081`; without a host it is loopback, port 0 is any free one.

        Raises:
            ConfigurationError: it is none of these.
        """
        if isinstance(text, BindAddress):
            return text
        host, _, port = str(text).rpartition(":")
        if not port.isdecimal() or int(port) > PORT_MAX:
            raise ConfigurationError(f"{text!r} is not an address to listen on; write it as host:port, e.g. :8081")
        return cls(host.strip("[]") or LOOPBACK, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
