"""Where to listen, as people write it."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping
from typing import Final

import attrs

from ...errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
ALL_INTERFACES: Final = ""
PORT_MAX: Final = 65535
HEALTH_PORT: Final = 8081
METRICS_PORT: Final = 8080


@attrs.frozen
class BindAddress:
    """Where to listen. The host is empty where it is every interface, over IPv4 and IPv6."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str | int | BindAddress) -> BindAddress:
        """Read `8081`, `:8081`, `host:8081` or `[::1]:8081`; no host means all interfaces, port 0 any free one.

        Raises:
            ConfigurationError: it is none of these.
        """
        if isinstance(text, BindAddress):
            return text
        host, _, port = str(text).rpartition(":")
        if not port.isdecimal() or int(port) > PORT_MAX:
            raise ConfigurationError(f"{text!r} is not an address to listen on; write it as host:port, e.g. :8081")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def default_address(port: int, environment: Mapping[str, str]) -> str:
    """Return where to listen unless told otherwise: on loopback, and in a Pod on all interfaces.

    What asks there, a kubelet's probe or a scrape, comes from outside the Pod's loopback.
    """
    return str(BindAddress(ALL_INTERFACES if environment.get("KUBERNETES_SERVICE_HOST") else LOOPBACK, port))


def add_address_options(parser: ArgumentParser, environment: Mapping[str, str]) -> None:
    """Add `--health-probe-bind-address` and `--metrics-bind-address`, as operators call them, to a command line.

    They become `health_address` and `metrics_address`; the short spellings of that name are taken too, and not shown.
    """
    options = (
        ("--health-probe-bind-address", "health_address", HEALTH_PORT, "/healthz and /readyz"),
        ("--metrics-bind-address", "metrics_address", METRICS_PORT, "/metrics"),
    )
    for name, attribute, port, pages in options:
        default = default_address(port, environment)
        words = f"where to answer {pages}: here {default}; :{port} is every interface, IPv4 and IPv6"
        parser.add_argument(name, dest=attribute, metavar="ADDRESS", default=default, help=words)
        short = "--" + attribute.replace("_", "-")
        parser.add_argument(short, dest=attribute, default=SUPPRESS, help=SUPPRESS)
