"""What every object must be: a name, labels and a place that the server accepts, whatever its kind."""

from __future__ import annotations

import re
from typing import Any, Final

from ..kinds.builtin_schemas import check_types
from ..kinds.kind import Kind
from ..wire.request_attributes import Attributes
from ..wire.status_errors import Body, Cause, bad_request, invalid

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ANNOTATIONS_LIMIT_BYTES: Final = 256 * 1024
_RBAC: Final = "rbac.authorization.k8s.io"
_SUBDOMAIN_WORDS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_WORDS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_WORDS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_WORDS: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def check_identity(body: Any, kind: Kind, asked: Attributes) -> Body:
    """Return a body, complete with what the path says of it.

    Raises:
        StatusError: 400, the body says something else.
    """
    if not isinstance(body, dict):
        raise bad_request(f"the object provided is not an object: {type(body).__name__}")
    check_types(body, kind)
    api_version, namespace, name = asked.api_version, asked.namespace, asked.name
    metadata = dict(body.get("metadata") or {})
    given, called = body.get("apiVersion") or api_version, body.get("kind") or kind.name
    if given != api_version:
        words = f"the API version in the data ({given}) does not match the expected API version ({api_version})"
        raise bad_request(words)
    if called != kind.name and kind.custom:
        cause = _wrong("kind", called, f"must be {kind.name}")
        raise invalid(kind.group, kind.name, str(metadata.get("name", "")), [cause])
    if called != kind.name:
        about = f'{kind.name} in version "{asked.version}"'
        raise bad_request(f"{about} cannot be handled as a {called}: the kind in the data does not match")
    if kind.namespaced:
        if metadata.get("namespace", namespace) not in (namespace, ""):
            words = "the namespace of the provided object does not match the namespace sent on the request"
            raise bad_request(words)
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    if name and metadata.get("name", name) != name:
        words = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        raise bad_request(words)
    if name:
        metadata["name"] = name
    return {**body, "kind": kind.name, "apiVersion": api_version, "metadata": metadata}


def metadata_causes(kind: Kind, metadata: Body) -> list[Cause]:
    """Return what is wrong with a name, labels, annotations and owner references."""
    causes = [*_name_causes(kind, metadata), *_label_causes(metadata), *_owner_causes(metadata)]
    annotations = metadata.get("annotations") or {}
    causes += [_wrong("metadata.annotations", key, _KEY_WORDS) for key in annotations if not _is_qualified(key.lower())]
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT_BYTES:
        words = f"Too long: may not be more than {_ANNOTATIONS_LIMIT_BYTES} bytes"
        causes.append(Cause("metadata.annotations", "FieldValueTooLong", words))
    finalizers = metadata.get("finalizers") or ()
    return causes + [_wrong("metadata.finalizers", name, _KEY_WORDS) for name in finalizers if not _is_qualified(name)]


def _name_causes(kind: Kind, metadata: Body) -> list[Cause]:
    name, prefix = metadata.get("name") or "", metadata.get("generateName") or ""
    if not name and not prefix:
        return [Cause.required("metadata.name", "name or generateName is required")]
    field, value = ("metadata.name", name) if name else ("metadata.generateName", prefix)
    wrong = _name_trouble(kind, value if name else prefix.rstrip("-.") or prefix)
    return [_wrong(field, value, wrong)] if wrong else []


def _name_trouble(kind: Kind, name: str) -> str:
    if kind.group == _RBAC:
        return "may not be '.' or '..'" if name in (".", "..") else "may not contain '/'" if "/" in name else ""
    if kind.key in (("", "namespaces"), ("", "services")):
        if len(name) > 63:
            return "must be no more than 63 bytes"
        return "" if _DNS_LABEL.fullmatch(name) else _LABEL_WORDS
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return "" if _DNS_SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_WORDS


def _label_causes(metadata: Body) -> list[Cause]:
    causes = []
    for key, value in (metadata.get("labels") or {}).items():
        if not _is_qualified(key):
            causes.append(_wrong("metadata.labels", key, _KEY_WORDS))
        elif len(value) > 63:
            causes.append(_wrong("metadata.labels", value, "must be no more than 63 bytes"))
        elif value and not _QUALIFIED.fullmatch(value):
            causes.append(_wrong("metadata.labels", value, _VALUE_WORDS))
    return causes


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if not _QUALIFIED.fullmatch(name) or len(name) > 63:
        return False
    return not slash or (_DNS_SUBDOMAIN.fullmatch(prefix) is not None and len(prefix) <= 253)


def _owner_causes(metadata: Body) -> list[Cause]:
    owners = metadata.get("ownerReferences") or ()
    causes = []
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                causes.append(_wrong(f"metadata.ownerReferences.{field}", "", "must not be empty"))
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        words = "Invalid value: Only one reference can have Controller set to true"
        causes.append(Cause("metadata.ownerReferences", "FieldValueInvalid", words))
    return causes


def _wrong(field: str, value: str, why: str) -> Cause:
    return Cause.wrong(field, f'"{value}"', why)
