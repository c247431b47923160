"""Who asks: users with fixed tokens and ServiceAccounts with requested ones, each with its own files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import attrs
import yaml

from ..errors import ScopedCacheError


@attrs.define(eq=False, repr=False)
class Identity:
    """A user or a ServiceAccount that requests can be sent as.

    Attributes:
        username: the name that the API server knows, `system:serviceaccount:<namespace>:<name>` for ServiceAccounts.
        groups: the groups the server puts it into, without `system:authenticated`.
        token: the bearer token that is valid now.
        kubeconfig: a file that names the (first) API server and carries the token.
        token_file: a file with the token alone, as a pod finds it mounted.
    """

    username: str
    groups: tuple[str, ...]
    token: str
    kubeconfig: Path
    token_file: Path
    kind: Literal["User", "ServiceAccount"] = "User"
    namespace: str | None = None
    name: str = ""
    _server: str = ""
    _ca_file: Path = Path()
    _request_token: Callable[[], str] | None = None

    def refresh(self) -> str:
        """Request a new token, write it into both files and return it. Only for ServiceAccounts."""
        if self._request_token is None:
            raise ScopedCacheError(f"the token of {self.username} is fixed; only ServiceAccounts can get a new one")
        self.token = self._request_token()
        self.write()
        return self.token

    def write(self) -> None:
        """Write the token file and the kubeconfig, each in one step, readable by this user only.

        There are none for a server without an address.
        """
        if not self._server:
            return
        self.token_file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.token_file, self.token)
        write_private(self.kubeconfig, kubeconfig(self._server, self._ca_file, self.username, self.token))

    @property
    def subject(self) -> dict[str, str]:
        """Return the `subjects` entry of a binding."""
        if self.kind == "ServiceAccount":
            return {"kind": self.kind, "name": self.name, "namespace": self.namespace or ""}
        return {"kind": self.kind, "name": self.username, "apiGroup": "rbac.authorization.k8s.io"}

    def __repr__(self) -> str:
        return f"<Identity {self.username}>"


def make_identity(
    folder: Path,
    server: str,
    ca_file: Path,
    username: str,
    groups: tuple[str, ...],
    token: str,
    **service_account: Any,
) -> Identity:
    """Return an identity whose files, if there is a server to name in them, are written below `folder`."""
    stem = username.replace(":", "_").replace("/", "_")
    identity = Identity(
        username,
        groups,
        token,
        folder / f"{stem}.kubeconfig",
        folder / f"{stem}.token",
        server=server,
        ca_file=ca_file,
        **service_account,
    )
    identity.write()
    return identity


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups that every ServiceAccount of a namespace is in."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def kubeconfig(server: str, ca_file: Path, username: str, token: str) -> str:
    """Return a kubeconfig with one cluster, one user and one context that joins them."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testing", "cluster": {"server": server, "certificate-authority": str(ca_file)}}],
        "users": [{"name": username, "user": {"token": token}}],
        "contexts": [{"name": "testing", "context": {"cluster": "testing", "user": username}}],
        "current-context": "testing",
    }
    return str(yaml.safe_dump(content, sort_keys=False))


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; a reader sees the old content or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    fresh.replace(path)
