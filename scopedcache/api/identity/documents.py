"""Kubeconfig files as typed documents: what stands in one file, checked as kubectl checks it, nothing decided yet."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import msgspec

from ...errors import ConfigurationError
from . import yaml_as_go_reads_it

_Text = str | None


class _Struct(msgspec.Struct, rename="kebab"):
    """Fields that are not named are passed over, null is "not there", as in Go. The repr shows no values."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class NamedExtension(_Struct):
    name: _Text = None
    extension: Any = None


class Cluster(_Struct):
    server: _Text = None
    tls_server_name: _Text = None
    insecure_skip_tls_verify: bool | None = None
    certificate_authority: _Text = None
    certificate_authority_data: _Text = None
    proxy_url: _Text = None
    disable_compression: bool | None = None
    extensions: list[NamedExtension | None] | None = None


class EnvVar(_Struct):
    name: _Text = None
    value: _Text = None


class Exec(_Struct, rename="camel"):
    command: _Text = None
    args: list[str | None] | None = None
    env: list[EnvVar | None] | None = None
    api_version: _Text = None
    install_hint: _Text = None
    provide_cluster_info: bool | None = None
    interactive_mode: _Text = None


class AuthProvider(_Struct):
    name: _Text = None
    config: dict[str, str | None] | None = None


class User(_Struct):
    client_certificate: _Text = None
    client_certificate_data: _Text = None
    client_key: _Text = None
    client_key_data: _Text = None
    token: _Text = None
    token_file: _Text = msgspec.field(default=None, name="tokenFile")
    as_: _Text = msgspec.field(default=None, name="as")
    as_uid: _Text = None
    as_groups: list[str | None] | None = None
    as_user_extra: dict[str, list[str | None] | None] | None = None
    username: _Text = None
    password: _Text = None
    auth_provider: AuthProvider | None = None
    exec: Exec | None = None


class Context(_Struct):
    cluster: _Text = None
    user: _Text = None
    namespace: _Text = None


class _NamedCluster(_Struct):
    name: _Text = None
    cluster: Cluster | None = None


class _NamedUser(_Struct):
    name: _Text = None
    user: User | None = None


class _NamedContext(_Struct):
    name: _Text = None
    context: Context | None = None


class _Config(_Struct):
    kind: _Text = None
    api_version: _Text = msgspec.field(default=None, name="apiVersion")
    current_context: _Text = None
    clusters: list[_NamedCluster | None] | None = None
    users: list[_NamedUser | None] | None = None
    contexts: list[_NamedContext | None] | None = None


_LOGIN_FIELDS: Final = frozenset(
    {
        *("token", "tokenFile", "username", "password", "exec", "auth-provider"),
        *("client-certificate", "client-certificate-data", "client-key", "client-key-data"),
    }
)
# Fields that hold base64; kubectl refuses a file for what is wrong in entries it does not use, too.
_BASE64: Final = ("certificate_authority_data", "client_certificate_data", "client_key_data")
_PLACE: Final = re.compile(r"at `\$\.?([\w.\[\]-]*)`")

Entry = TypeVar("Entry", Cluster, User, Context)


@attrs.frozen
class Document:
    """One kubeconfig file: its entries by name, and the folder that its relative paths start from.

    `with_login_fields` names the users who have fields for a login, be they all empty: a template that was not filled
    in is told from a user who is meant to have none.
    """

    path: str
    current_context: str = ""
    clusters: dict[str, Cluster] = attrs.field(factory=dict, repr=False)
    users: dict[str, User] = attrs.field(factory=dict, repr=False)
    contexts: dict[str, Context] = attrs.field(factory=dict, repr=False)
    with_login_fields: frozenset[str] = frozenset()

    def path_of(self, path: str) -> str:
        """Return a path as it is meant where it stands in this file."""
        return os.path.normpath(Path(os.path.abspath(self.path)).parent / path)


def parse(path: str, content: bytes) -> Document:
    """Read one kubeconfig; an empty one sets nothing.

    Raises:
        ConfigurationError: it is not a kubeconfig.
    """
    document = yaml_as_go_reads_it.read(content)
    if document is None:
        return Document(path)
    if not isinstance(document, dict):
        raise ConfigurationError("it is not a mapping of fields")
    try:
        config = msgspec.convert(document, _Config)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_misfit(error)) from None
    if (config.kind or "Config", config.api_version or "v1") != ("Config", "v1"):
        raise ConfigurationError("it is not of kind Config, apiVersion v1")
    clusters = [(one.name, one.cluster) for one in (given or _NamedCluster() for given in config.clusters or ())]
    users = [(one.name, one.user) for one in (given or _NamedUser() for given in config.users or ())]
    contexts = [(one.name, one.context) for one in (given or _NamedContext() for given in config.contexts or ())]
    read = Document(
        path,
        config.current_context or "",
        _by_name("clusters", [(name, entry or Cluster()) for name, entry in clusters]),
        _by_name("users", [(name, entry or User()) for name, entry in users]),
        _by_name("contexts", [(name, entry or Context()) for name, entry in contexts]),
        frozenset(
            str(one.get("name") or "")
            for one in document.get("users") or ()
            if one and _LOGIN_FIELDS & set(one.get("user") or ())
        ),
    )
    for section in (read.clusters, read.users):
        for name, entry in section.items():
            for field in _BASE64:
                from_base64(getattr(entry, field, None), f"{field.replace('_', '-')} of {name!r}")
    return read


def from_base64(text: str | None, what: str) -> bytes:
    """Return the bytes of a `…-data` field; line breaks in it mean nothing.

    Raises:
        ConfigurationError: it is not base64.
    """
    try:
        return base64.b64decode("".join((text or "").splitlines()), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{what} is not base64") from None


def _by_name(section: str, entries: list[tuple[str | None, Entry]]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for name, entry in entries:
        if (name or "") in found:
            raise ConfigurationError(f"{section} names {name or ''!r} twice")
        found[name or ""] = entry
    return found


def _misfit(error: msgspec.ValidationError) -> str:
    """Say which field does not fit. Of the foreign text only its place is kept, which is made of names of fields."""
    place = _PLACE.search(str(error))
    return f"{place[1] if place and place[1] else 'a field'} is not of the right type"
