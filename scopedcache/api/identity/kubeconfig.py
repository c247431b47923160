"""Kubeconfig documents and the name of a context in, a frozen description out: what kubectl takes them to mean.

The rules are client-go's (`tools/clientcmd`), compared with kubectl 1.36 by tests/real. No file is read here.
Differences, each on purpose: a user that is named and not there is an error (kubectl sends anonymous requests), and so
is one whose fields are all empty; `socks5` proxies are refused; credentials go over plain http to a loopback address
(kubectl withholds them there too). See docs/credentials.md.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, cast, get_args
from urllib.parse import unquote, urlsplit

import attrs

from ...errors import ConfigurationError
from . import proxies
from .documents import Cluster, Context, Document, Exec, User, from_base64
from .impersonation import headers_for
from .redaction import url_parts, without_password
from .rest_config import (
    BasicAuth,
    ClientCertificate,
    Endpoint,
    ExecPlugin,
    Headers,
    InteractiveMode,
    Login,
    OpenIdConnect,
    Pem,
    RestConfig,
    Token,
    TokenFile,
)

EXEC_GROUP: Final = "client.authentication.k8s.io"
EXEC_VERSIONS: Final = (f"{EXEC_GROUP}/v1", f"{EXEC_GROUP}/v1beta1")
_EXEC_EXTENSION: Final = f"{EXEC_GROUP}/exec"
_REMOVED_PROVIDERS: Final = {
    "azure": "use the exec plugin kubelogin (https://github.com/Azure/kubelogin)",
    "gcp": "use the exec plugin gke-gcloud-auth-plugin",
}

Entry = TypeVar("Entry", Cluster, User, Context)


def resolve(documents: Sequence[Document], context: str | None, environment: Mapping[str, str]) -> RestConfig:
    """Return what a context says; None is the current one.

    Of entries with the same name, the first file's counts, as a whole; so does the first `current-context` that is set.

    Raises:
        ConfigurationError: something is missing, or contradicts itself; names the field, and quotes no secret.
    """
    chosen = context or next((one.current_context for one in documents if one.current_context), "")
    active = _found(documents, lambda one: one.contexts, chosen)[1]
    if active is None:
        raise ConfigurationError(_no_context(documents, chosen))
    where, cluster = _found(documents, lambda one: one.clusters, active.cluster or "")
    if where is None or cluster is None:
        raise ConfigurationError(f"context {chosen!r} names the cluster {active.cluster or ''!r}, which is not there")
    home, user = _found(documents, lambda one: one.users, active.user or "")
    if user is None and active.user:
        raise ConfigurationError(f"context {chosen!r} names the user {active.user!r}, who is not there")

    who = f"user {active.user or ''!r}"
    endpoint, url_login = _endpoint(f"cluster {active.cluster or ''!r}", cluster, where, environment)
    home, user = home or where, user or User()
    login, certificate = _login(who, user, home, cluster)
    login = url_login or login
    if login is None and certificate is None and (active.user or "") in home.with_login_fields:
        raise ConfigurationError(f"{who} has no credentials: every field for them is empty")
    withheld = login is not None and not may_carry_secrets(endpoint.host)
    return RestConfig(
        attrs.evolve(endpoint, certificate=certificate),
        None if withheld else login,
        who,
        _impersonation(who, user),
        active.namespace or None,
        tuple(one.path for one in documents),
        withheld,
    )


def _found(
    documents: Sequence[Document], section: Callable[[Document], Mapping[str, Entry]], name: str
) -> tuple[Document | None, Entry | None]:
    for document in documents:
        if name in section(document):
            return document, section(document)[name]
    return None, None


def _no_context(documents: Sequence[Document], chosen: str) -> str:
    if not any(document.contexts or document.clusters or document.users for document in documents):
        return "the file is empty"
    names = ", ".join(dict.fromkeys(name for document in documents for name in document.contexts))
    if not chosen:
        return f"it names no current-context; it has: {names}" if names else "it names no context"
    return f"it has no context {chosen!r}; it has: {names or 'none'}"


# -- where -----------------------------------------------------------------------------------------------------------


def _endpoint(
    what: str, cluster: Cluster, home: Document, environment: Mapping[str, str]
) -> tuple[Endpoint, Login | None]:
    if not cluster.server:
        raise ConfigurationError(f"{what} names no server")
    host, login = server_url(cluster.server)
    ca = _pem(what, "certificate-authority", cluster.certificate_authority, cluster.certificate_authority_data, home)
    if not host.startswith("https:"):
        ca = None
    if ca and cluster.insecure_skip_tls_verify:
        raise ConfigurationError(
            f"{what} gives a certificate-authority and insecure-skip-tls-verify: remove one of them"
        )
    proxy = cluster.proxy_url and proxies.checked(cluster.proxy_url)
    address, headers = proxies.split(proxy or proxies.from_environment(host, environment) or "")
    endpoint = Endpoint(
        host,
        ca,
        verify=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name or None,
        proxy=address or None,
        proxy_headers=headers,
    )
    return endpoint, login


def server_url(server: str) -> tuple[str, BasicAuth | None]:
    """Return the address of a server without query, fragment, user and password, and the latter as a login.

    Raises:
        ConfigurationError: it is no http(s) URL.
    """
    shown = without_password(server)
    parts = url_parts(server)
    if parts is not None and not (parts.scheme and parts.netloc):  # host:port is plain http for kubectl
        parts = url_parts(f"http://{server}")
        if parts is not None and parts.path not in ("", "/"):
            raise ConfigurationError(f"the server address {shown!r} is not an http(s) URL")
    if parts is None:
        raise ConfigurationError(f"the server address {shown!r} is not a URL")
    host, port = parts.hostname, parts.port
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"the server address {shown!r} is not an http(s) URL")
    login = None
    if parts.username is not None:
        login = BasicAuth(unquote(parts.username), unquote(parts.password or ""))
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    return f"{parts.scheme}://{place}{parts.path}".rstrip("/"), login


def may_carry_secrets(host: str) -> bool:
    """Tell whether credentials may be sent to a server: over TLS, or to this machine."""
    parts = urlsplit(host)
    try:
        return parts.scheme == "https" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return (parts.hostname or "") == "localhost"


# -- as whom ---------------------------------------------------------------------------------------------------------


def _login(who: str, user: User, home: Document, cluster: Cluster) -> tuple[Login | None, ClientCertificate | None]:
    """Return the first login that is there, in kubectl's order, and the client certificate beside it.

    A token, a password or a certificate keeps a plugin from being run. All are checked, whichever counts.
    """
    basic = bool(user.username or user.password)
    if user.token and basic:
        raise ConfigurationError(f"{who} has a token and a username: only one is allowed")
    if basic and not user.username:
        raise ConfigurationError(f"{who} has a password and no username")
    certificate = _certificate(who, user, home)
    provider = _provider(who, user)
    plugin = _plugin(who, user.exec, home, cluster) if user.exec is not None else None
    if plugin and provider:
        raise ConfigurationError(f"{who} has an auth-provider and an exec plugin: only one is allowed")
    login: Login | None = None
    if user.token_file:
        initial = user.token and _header_value(who, "token", user.token)
        login = TokenFile(home.path_of(user.token_file), initial or None)
    elif user.token:
        login = Token(_header_value(who, "token", user.token))
    elif basic:
        login = BasicAuth(user.username or "", user.password or "")
    elif provider:
        login = provider
    elif certificate is None:
        login = plugin
    return login, certificate


def _certificate(who: str, user: User, home: Document) -> ClientCertificate | None:
    certificate = _pem(who, "client-certificate", user.client_certificate, user.client_certificate_data, home)
    if certificate is None:
        return None
    key = _pem(who, "client-key", user.client_key, user.client_key_data, home)
    if key is None:
        raise ConfigurationError(f"{who} has a client-certificate and no client-key")
    return ClientCertificate(certificate, key)


def _pem(what: str, field: str, file: str | None, data: str | None, home: Document) -> Pem | None:
    if file and data:
        raise ConfigurationError(f"{what} gives {field} and {field}-data, which kubectl refuses: remove one of them")
    if data:
        return Pem(data=from_base64(data, f"{field}-data of {what}"))
    return Pem(home.path_of(file)) if file else None


def _provider(who: str, user: User) -> OpenIdConnect | None:
    given = user.auth_provider
    if given is None:
        return None
    name = given.name or ""
    if name in _REMOVED_PROVIDERS:
        raise ConfigurationError(
            f"{who} has the auth-provider {name!r}, which Kubernetes has removed: {_REMOVED_PROVIDERS[name]}"
        )
    if name != "oidc":
        raise ConfigurationError(f"{who} has the auth-provider {name!r}, which is not known: use an exec plugin")
    settings = {key: value or "" for key, value in (given.config or {}).items()}
    for field in ("idp-issuer-url", "client-id"):
        if not settings.get(field):
            raise ConfigurationError(f"{who}: the auth-provider 'oidc' names no {field}")
    # Unlike every other path of a kubeconfig, this one starts from the working directory.
    file, data = settings.get("idp-certificate-authority", ""), settings.get("idp-certificate-authority-data", "")
    ca = Pem(data=from_base64(data, f"idp-certificate-authority-data of {who}")) if data else None
    return OpenIdConnect(
        settings["idp-issuer-url"],
        settings["client-id"],
        settings.get("client-secret", ""),
        settings.get("id-token", ""),
        settings.get("refresh-token", ""),
        ca or (Pem(os.path.abspath(file)) if file else None),
    )


def _plugin(who: str, given: Exec, home: Document, cluster: Cluster) -> ExecPlugin:
    if not given.command:
        raise ConfigurationError(f"{who}: the exec plugin names no command")
    if given.api_version not in EXEC_VERSIONS:
        raise ConfigurationError(
            f"{who}: the exec plugin {given.command!r} speaks {given.api_version or 'no apiVersion'!r}; "
            f"known are {' and '.join(EXEC_VERSIONS)}"
        )
    mode = given.interactive_mode or ("IfAvailable" if given.api_version == EXEC_VERSIONS[1] else "")
    if mode not in get_args(InteractiveMode):
        raise ConfigurationError(
            f"{who}: the exec plugin {given.command!r} needs an interactiveMode: {', '.join(get_args(InteractiveMode))}"
        )
    env = [(one.name or "", one.value or "") if one else ("", "") for one in given.env or ()]
    if any(not name or "=" in name or "\0" in name + value for name, value in env):
        raise ConfigurationError(f"{who}: the exec plugin {given.command!r} has an environment variable without a name")
    extensions = {one.name: one.extension for one in cluster.extensions or () if one}
    return ExecPlugin(
        # Only a path is resolved: a bare name is looked up in PATH.
        home.path_of(given.command) if os.sep in given.command else given.command,
        given.api_version,
        cast(InteractiveMode, mode),
        tuple(one or "" for one in given.args or ()),
        tuple(env),
        given.install_hint or "",
        bool(given.provide_cluster_info),
        extensions.get(_EXEC_EXTENSION),
        bool(cluster.disable_compression),
    )


def _impersonation(who: str, user: User) -> Headers:
    groups = [group or "" for group in user.as_groups or ()]
    extra = {key: [value or "" for value in values or ()] for key, values in (user.as_user_extra or {}).items()}
    if not user.as_:
        if user.as_uid or groups or extra:
            raise ConfigurationError(f"{who} has as-uid, as-groups or as-user-extra and no `as`")
        return ()
    headers = headers_for(user.as_, user.as_uid or "", groups, extra)
    return tuple((name, _header_value(who, "impersonation", value)) for name, value in headers)


def _header_value(who: str, what: str, value: str) -> str:
    """Return what a header can carry.

    Raises:
        ConfigurationError: there is a line break, or another control character, within it.
    """
    plain = value.strip()
    if any(ord(char) < 32 or ord(char) == 127 for char in plain):
        raise ConfigurationError(f"{who}: the {what} has a line break, or another control character, within it")
    return plain
