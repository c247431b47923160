"""What one context of a kubeconfig, a Pod's account or a ready client comes to: frozen values, no files read yet.

Secrets are kept out of every repr.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from .redaction import without_password

InteractiveMode = Literal["Never", "IfAvailable", "Always"]
Headers = tuple[tuple[str, str], ...]


@attrs.frozen
class Pem:
    """Certificates or a key: a file that may be replaced in place, or the bytes themselves."""

    file: str | None = None
    data: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class ClientCertificate:
    """A client certificate and its key; a file may hold both."""

    certificate: Pem
    key: Pem


def _shown_url(url: str | None) -> str:
    return repr(url and without_password(url))


@attrs.frozen
class Endpoint:
    """How to reach an API server."""

    host: str = attrs.field(repr=_shown_url)
    ca: Pem | None = None
    certificate: ClientCertificate | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = attrs.field(default=None, repr=_shown_url)
    proxy_headers: Headers = attrs.field(default=(), repr=False)
    check_hostname: bool = True


@attrs.frozen
class Token:
    """A bearer token that never changes."""

    value: str = attrs.field(repr=False)


@attrs.frozen
class TokenFile:
    """A bearer token in a file that may be replaced; `initial` is used until the file can be read."""

    path: str
    initial: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class BasicAuth:
    """A user name and a password."""

    username: str = attrs.field(repr=False)
    password: str = attrs.field(repr=False)


@attrs.frozen
class ExecPlugin:
    """A program that prints credentials."""

    command: str
    api_version: str
    interactive_mode: InteractiveMode
    args: tuple[str, ...] = attrs.field(default=(), repr=False)
    env: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    install_hint: str = attrs.field(default="", repr=False)
    provide_cluster_info: bool = False
    # The cluster's extension `client.authentication.k8s.io/exec`, handed on as it is.
    cluster_config: Any = attrs.field(default=None, repr=False)
    disable_compression: bool = False


@attrs.frozen
class OpenIdConnect:
    """`auth-provider: oidc`."""

    issuer_url: str = attrs.field(repr=_shown_url)
    client_id: str
    client_secret: str = attrs.field(default="", repr=False)
    id_token: str = attrs.field(default="", repr=False)
    refresh_token: str = attrs.field(default="", repr=False)
    ca: Pem | None = None


@attrs.frozen
class ReadyClient:
    """The configuration of another library's client, asked for its header each time."""

    configuration: Any = attrs.field(repr=False, eq=id)


Login = Token | TokenFile | BasicAuth | ExecPlugin | OpenIdConnect | ReadyClient


@attrs.frozen
class RestConfig:
    """Where, as whom and in which namespace.

    Attributes:
        user: what messages call the credentials.
        login: how the Authorization header is had, None where TLS alone, or nothing, says who we are.
        impersonation: the headers that name whom we act as; sent with every request and watch.
        files: the kubeconfigs all this was read from; they may be replaced in place.
        withheld: there is a login, and it is not sent: the server is reached over plain http, and elsewhere.
    """

    endpoint: Endpoint
    login: Login | None = None
    user: str = "of the configuration"
    impersonation: Headers = attrs.field(default=(), repr=False)
    namespace: str | None = None
    files: tuple[str, ...] = ()
    withheld: bool = False
