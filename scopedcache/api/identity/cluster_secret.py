"""What the Secret of a cluster says: a kubeconfig (Cluster API, multicluster-runtime), or Argo CD's own form.

Whoever may write such a Secret must not get further by it than to another cluster: no programs, no files, no
impersonation, and no certificate goes unverified but where the Secret says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ...errors import ConfigurationError
from .documents import from_base64, parse
from .kubeconfig import resolve
from .rest_config import ExecPlugin, OpenIdConnect, Pem, RestConfig, TokenFile

KUBECONFIG_FIELDS: Final = ("kubeconfig", "value")


def config_of(secret: str, named: str | None, data: Mapping[str, str]) -> tuple[str, RestConfig]:
    """Return the name of the cluster and the way to it; `named` is what a label calls it, if one does.

    Raises:
        ConfigurationError: nothing is there that may be used; quotes no secret.
    """
    fields = {name: from_base64(text, f"data.{name}") for name, text in data.items()}
    field = next((name for name in KUBECONFIG_FIELDS if name in fields), None)
    if field is not None:
        return named or secret.removesuffix("-kubeconfig"), _checked(fields[field])
    if "server" in fields:
        return fields.get("name", b"").decode(errors="replace").strip() or secret, _checked(_of_argo(fields))
    raise ConfigurationError(f"it holds none of {', '.join(KUBECONFIG_FIELDS)} and server")


def _checked(kubeconfig: bytes) -> RestConfig:
    config = resolve([parse("", kubeconfig)], None, {})
    if isinstance(config.login, ExecPlugin | OpenIdConnect):
        raise ConfigurationError(
            "its user logs in by a program or a provider: a Secret may hold tokens and certificates"
        )
    endpoint = config.endpoint
    pems = [
        endpoint.ca,
        *((endpoint.certificate.certificate, endpoint.certificate.key) if endpoint.certificate else ()),
    ]
    if isinstance(config.login, TokenFile) or any(isinstance(pem, Pem) and pem.file for pem in pems):
        raise ConfigurationError("it names files of another machine: put what they hold into it (kubectl --flatten)")
    if config.impersonation:
        raise ConfigurationError("its user acts as somebody else")
    return RestConfig(endpoint, config.login, config.user, (), config.namespace, (), config.withheld)


def _of_argo(fields: Mapping[str, bytes]) -> bytes:
    """Return the kubeconfig that says the same as a cluster Secret of Argo CD."""
    try:
        config: Any = json.loads(fields.get("config") or b"{}")
        tls: Any = config.get("tlsClientConfig") or {}
    except (ValueError, AttributeError):
        raise ConfigurationError("data.config is no JSON object") from None
    if config.get("execProviderConfig") or config.get("awsAuthConfig"):
        raise ConfigurationError("it logs in by a program or a provider: a Secret may hold tokens and certificates")
    cluster = {
        "server": fields["server"].decode(errors="replace").strip(),
        "insecure-skip-tls-verify": bool(tls.get("insecure")) or None,
        "certificate-authority-data": tls.get("caData"),
        "tls-server-name": tls.get("serverName"),
    }
    user = {
        "token": config.get("bearerToken"),
        "username": config.get("username"),
        "password": config.get("password"),
        "client-certificate-data": tls.get("certData"),
        "client-key-data": tls.get("keyData"),
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": _given(cluster)}],
            "users": [{"name": "it", "user": _given(user)}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
    ).encode()


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
