"""The way to the server that the options of a command name, and as whom."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..api.client import Client
from ..api.configuration import load


@attrs.frozen
class Login:
    """Where, and as whom.

    Attributes:
        kubeconfig, context: as everywhere in the library; None: what it finds by itself.
        user: whom to act as (a name, or `system:serviceaccount:NAMESPACE:NAME`), None: who the kubeconfig says.
        groups: groups to act in besides.
    """

    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None
    groups: Sequence[str] = ()

    def client(self, *, acting: bool = True) -> Client:
        """Return a client; `acting` False: as who the kubeconfig says, whoever `user` is.

        Raises:
            ConfigurationError: there is no way to the server.
        """
        configuration = load(self.kubeconfig, self.context)
        if acting and self.user is not None:
            configuration = configuration.acting_as(self.user, self.groups)
        return Client.configured(configuration)

    def host(self) -> str:
        """Return the address of the server."""
        return load(self.kubeconfig, self.context).endpoint.host
