"""The protocol of exec plugins: what they are told, what they may print, what their failures are called.

Versions v1 and v1beta1 of `client.authentication.k8s.io`, as client-go speaks them.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ...errors import ConfigurationError
from . import yaml_as_go_reads_it
from .credential import Credential
from .redaction import words_of_program
from .rest_config import ClientCertificate, Endpoint, ExecPlugin, Pem

_SECRET_NAME: Final = re.compile(r"(?i)token|passw|passphrase|secret|key|credential|auth")


class _Status(msgspec.Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: str | None = None


class _ExecCredential(msgspec.Struct, rename="camel"):
    api_version: str | None = None
    kind: str | None = None
    status: _Status | None = None


def exec_info(plugin: ExecPlugin, endpoint: Endpoint, ca: bytes | None, *, interactive: bool) -> str:
    """Return KUBERNETES_EXEC_INFO: what the plugin is told."""
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.provide_cluster_info:
        cluster: dict[str, Any] = {
            "server": endpoint.host,
            "tls-server-name": endpoint.server_name,
            "insecure-skip-tls-verify": not endpoint.verify,
            "certificate-authority-data": base64.b64encode(ca).decode() if ca else None,
            "proxy-url": endpoint.proxy,
            "disable-compression": plugin.disable_compression,
            "config": plugin.cluster_config,
        }
        spec["cluster"] = {name: value for name, value in cluster.items() if value not in (None, False)}
    return json.dumps({"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec})


def environment_for(plugin: ExecPlugin, inherited: Mapping[str, str], info: str) -> dict[str, str]:
    """Return the environment of the plugin: ours, then its own, then what it is told."""
    return {**inherited, **dict(plugin.env), "KUBERNETES_EXEC_INFO": info}


def credential_in(plugin: ExecPlugin, printed: bytes, now: datetime) -> Credential:
    """Return the credential that a plugin printed.

    Raises:
        ConfigurationError: it printed none; says what is wrong with it, and quotes nothing.
    """
    answer = _answer(plugin, printed)
    if (answer.kind, answer.api_version) != ("ExecCredential", plugin.api_version):
        raise ConfigurationError(f"{_named(plugin)} printed another kind or version than {plugin.api_version}")
    status = answer.status or _Status()
    token, certificate, key = status.token, status.client_certificate_data, status.client_key_data
    if bool(certificate) != bool(key):
        raise ConfigurationError(
            f"{_named(plugin)} printed a client certificate without its key, or the other way round"
        )
    if not token and not certificate:
        raise ConfigurationError(f"{_named(plugin)} printed neither a token nor a client certificate")
    token = (token or "").strip()
    if any(ord(char) < 32 or ord(char) == 127 for char in token):
        raise ConfigurationError(f"{_named(plugin)} printed a token with a line break, or another control character")
    seconds = _seconds_left(plugin, status.expiration_timestamp, now)
    return Credential(
        f"Bearer {token}" if token else None,
        ClientCertificate(Pem(data=certificate.encode()), Pem(data=key.encode())) if certificate and key else None,
        seconds,
        seconds,
        (token,) if token else (),
    )


def failed(plugin: ExecPlugin, code: int, said: str, inherited: Mapping[str, str]) -> ConfigurationError:
    """Return the error for a plugin that ended with a code other than 0 (a negative one is a signal)."""
    how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    return ConfigurationError(f"{_named(plugin)} {how}{_said(plugin, said, inherited)}")


def not_ended(plugin: ExecPlugin, seconds: float, said: str, inherited: Mapping[str, str]) -> ConfigurationError:
    return ConfigurationError(f"{_named(plugin)} did not end within {seconds:g} s{_said(plugin, said, inherited)}")


def not_started(plugin: ExecPlugin, why: str) -> ConfigurationError:
    """Return the error for a plugin that is not installed, or cannot be run, with the hint how to install it."""
    hint = words_of_program(plugin.install_hint)
    return ConfigurationError(f"{_named(plugin)} cannot be run: {why}" + (f"; {hint}" if hint else ""))


def secrets_of(plugin: ExecPlugin, inherited: Mapping[str, str]) -> Iterable[str]:
    """Yield what a plugin was given in confidence: its environment, ours where the name says so, and such arguments."""
    yield from (value for _, value in plugin.env)
    yield from (value for name, value in inherited.items() if _SECRET_NAME.search(name))
    for before, argument in zip(("", *plugin.args), plugin.args, strict=False):
        name, equals, value = argument.partition("=")
        if equals and _SECRET_NAME.search(name):
            yield value
        elif before.startswith("-") and "=" not in before and _SECRET_NAME.search(before) and argument[:1] != "-":
            yield argument


def _named(plugin: ExecPlugin) -> str:
    return f"the exec plugin {plugin.command!r}"


def _said(plugin: ExecPlugin, said: str, inherited: Mapping[str, str]) -> str:
    words = words_of_program(said, secrets_of(plugin, inherited))
    hint = words_of_program(plugin.install_hint)
    return (f": {words}" if words else "") + (f" ({hint})" if hint else "")


def _answer(plugin: ExecPlugin, printed: bytes) -> _ExecCredential:
    try:
        document = json.loads(printed)
    except (ValueError, RecursionError):
        document = None
    try:
        if document is None:
            document = yaml_as_go_reads_it.read(printed)
        return msgspec.convert(document, _ExecCredential)
    except (msgspec.ValidationError, ConfigurationError):
        raise ConfigurationError(f"{_named(plugin)} printed no ExecCredential") from None


def _seconds_left(plugin: ExecPlugin, until: str | None, now: datetime) -> float:
    if not until:
        return math.inf
    moment = _moment(until)
    if moment is None:
        raise ConfigurationError(f"{_named(plugin)} printed an expirationTimestamp that is no time")
    return moment.timestamp() - now.timestamp()


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
