"""The account of the Pod we run in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ...errors import ConfigurationError
from . import proxies
from .rest_config import Endpoint, Pem, RestConfig, TokenFile
from .system_errors import words_of_system

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def is_in_cluster(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("KUBERNETES_SERVICE_HOST"))


def service_account(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> RestConfig:
    """Return the way to the cluster we run in, as the Pod's ServiceAccount. Blocks while it reads files.

    The token and the CA are read again later: the kubelet replaces both.

    Raises:
        ConfigurationError: not in a cluster, or no account is mounted.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigurationError(
            "not running in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set"
        )
    token, ca, namespace = folder / "token", folder / "ca.crt", folder / "namespace"
    for file in (token, ca):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"not running in a cluster: cannot read {file}: {words_of_system(error)}; "
                "does the Pod set automountServiceAccountToken: false?"
            ) from None
        if not content.strip():
            raise ConfigurationError(f"not running in a cluster: {file} is empty")
    url = f"https://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{port}"
    address, headers = proxies.split(proxies.from_environment(url, environment) or "")
    return RestConfig(
        Endpoint(url, Pem(str(ca)), proxy=address or None, proxy_headers=headers),
        TokenFile(str(token)),
        "the ServiceAccount of the Pod",
        namespace=_namespace(environment, namespace),
    )


def _namespace(environment: Mapping[str, str], file: Path) -> str | None:
    try:
        return environment.get("POD_NAMESPACE") or file.read_text().strip() or None
    except (OSError, ValueError):
        return None
