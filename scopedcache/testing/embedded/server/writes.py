"""Create, update, patch and delete: what the server makes of a body before it is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import msgspec

from ..admission.admission import Admission
from ..admission.admitted_write import AdmittedWrite
from ..kinds import event_groups as events
from ..kinds.builtin_defaults import prepared
from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..patching.field_paths import ListKeys
from ..patching.patches import json_patched, merged, strategic
from ..patching.scale_subresource import scale_of, with_scale
from ..patching.server_side_apply import Manager, applied, tracked
from ..storage.storage import Part, Storage, Stored
from ..wire.builtin_types import check
from ..wire.messages import Answer, Request, of_json
from ..wire.request_attributes import Attributes, is_true
from ..wire.request_bodies import content_type, decoded
from ..wire.status_errors import (
    Body,
    Cause,
    StatusError,
    bad_request,
    conflict,
    details,
    forbidden,
    invalid,
    not_found,
    unsupported_media_type,
)
from .metadata_validation import check_identity, metadata_causes
from .rendering import list_bytes, object_bytes, view_of
from .selection import selection_of
from .shard_selectors import shard_info

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
_WAYS: Final[dict[str, Callable[[Any, Any], Any]]] = {MERGE: merged, JSON_PATCH: json_patched, STRATEGIC: strategic}
# Kinds whose deletion answers with the object, also where it is gone at once.
_RETURNED: Final = (("", "pods"), ("", "services"), ("", "serviceaccounts"))
_POLICIES: Final = ("Background", "Foreground", "Orphan")
_OPTIONS: Final = {"dryRun": ("All",), "fieldValidation": ("Ignore", "Strict", "Warn")}
# Built-in kinds that must not be updated without a version.
_CONDITIONAL: Final = (("coordination.k8s.io", "leases"), ("apiextensions.k8s.io", "customresourcedefinitions"))


@attrs.frozen
class Writes:
    """The verbs that change something."""

    storage: Storage
    registry: Registry
    admission: Admission

    def create(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Store a new object."""
        return self._created(request, kind, asked, check_identity(decoded(request), kind, asked), now)

    def update(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Replace an object, its status or its scale."""
        body = decoded(request)
        return self._changed(request, kind, asked, lambda _: body, now)

    def patch(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Patch an object, its status or its scale."""
        media = content_type(request)
        if media == APPLY:
            return self._applied(request, kind, asked, now)
        if media not in _WAYS or (media == STRATEGIC and kind.custom):
            raise unsupported_media_type([JSON_PATCH, MERGE, APPLY] + ([] if kind.custom else [STRATEGIC]))
        patch = decoded(request)
        return self._changed(request, kind, asked, lambda body: _WAYS[media](body, patch), now)

    def would_create(self, request: Request, kind: Kind, asked: Attributes) -> bool:
        """Tell whether a patch is an apply of what is not there."""
        return _is_apply(request) and self.storage.get(kind, asked.namespace, asked.name) is None

    def delete(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Delete one object."""
        view = view_of(request)
        options = _options(request)
        self._admit_deletion(kind, asked, self.storage.existing(kind, asked.namespace, asked.name), options)
        found, gone = self._delete_one(kind, asked.namespace, asked.name, options, now)
        if not gone or kind.key in _RETURNED:
            return Answer(200, object_bytes(found, asked.api_version, view, now))
        about = details(kind.group, kind.resource, found.name, uid=found.uid)
        return of_json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about})

    def delete_collection(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        """Delete everything that the selectors match."""
        options = _options(request)
        selection = selection_of(request, kind, asked)
        chosen = [stored for stored in self.storage.list(kind, selection.namespace) if selection.matches(stored)]
        for stored in chosen:
            self._admit_deletion(kind, asked, stored, options)
        gone = [self._delete_one(kind, s.namespace, s.name, options, now)[0] for s in chosen]
        metadata = {"resourceVersion": str(self.storage.version), **shard_info(selection.shard, kind)}
        return Answer(200, list_bytes(kind, asked.api_version, "whole", gone, metadata))

    # -- steps ---------------------------------------------------------------------------------------------------

    def _created(self, request: Request, kind: Kind, asked: Attributes, body: Body, now: float) -> Answer:
        self._check_namespace(kind, asked, body)
        if (body["metadata"].get("resourceVersion") or "") not in ("", "0") and not _is_apply(request):
            raise StatusError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        body = prepared(kind, body, None)
        if "status" in kind.subresources and kind.custom:
            body.pop("status", None)
        return self._written(request, kind, asked, body, None, now)

    def _changed(
        self, request: Request, kind: Kind, asked: Attributes, change: Callable[[Body], Any], now: float
    ) -> Answer:
        current = _in_version(self.storage.existing(kind, asked.namespace, asked.name), asked.api_version)
        if asked.subresource == "scale":
            body = with_scale(kind, asked.version, current, change(scale_of(kind, asked.version, current)))
        else:
            body = check_identity(change(current), kind, asked)
            if request.method == "PUT":
                self._check_version(kind, body, asked.name)
        if asked.subresource == "status":
            metadata = {**current["metadata"], **_conditions(body)}
            body = _with_field("status", current, body) | {"metadata": metadata}
        else:
            body = prepared(kind, body, current)
            if "status" in kind.subresources:
                body = _with_field("status", body, current)
        return self._written(request, kind, asked, body, current, now)

    def _applied(self, request: Request, kind: Kind, asked: Attributes, now: float) -> Answer:
        if not request.asked("fieldManager"):
            cause = Cause.required("fieldManager", "is required for apply patch")
            raise invalid("meta.k8s.io", "PatchOptions", "", [cause])
        config = check_identity(decoded(request, yaml=True), kind, asked)
        if config["metadata"].pop("managedFields", None):
            raise bad_request("metadata.managedFields must be nil")
        old = self.storage.get(kind, asked.namespace, asked.name)
        current = None if old is None else _in_version(old, asked.api_version)
        if current is None and asked.subresource:
            raise not_found(kind.group, kind.resource, asked.name)
        if current is None and config["metadata"].get("uid"):
            why = "uid mismatch: the provided object does not exist"
            raise conflict(kind.group, kind.resource, asked.name, why)
        manager, force = _manager(request, asked), is_true(request.asked("force"))
        body = applied(current, config, manager, now, _list_keys(kind, asked), force=force)
        if current is None:
            return self._created(request, kind, asked, body, now)
        body["metadata"] |= _conditions(config)
        if asked.subresource != "status":
            body = prepared(kind, body, current)
        return self._written(request, kind, asked, body, current, now)

    def _written(
        self, request: Request, kind: Kind, asked: Attributes, body: Body, current: Body | None, now: float
    ) -> Answer:
        """Check a body, note who owns its fields, and store it, or rehearse that; `current` None: it is a new one."""
        view = view_of(request)
        write = _admitted(request, kind, asked, body, current)
        if write is not None:
            changed = self.admission.changed(write)
            if changed is not None and changed is not body:
                body = changed if asked.subresource else prepared(kind, changed, current)
        warnings = self._validated(request, kind, asked.version, body, current)
        if not _is_apply(request):
            body = tracked(current, body, _manager(request, asked), now, _list_keys(kind, asked))
        if kind.key == events.KEY:
            body = events.converted(body, events.OLD)
        part: Part = "status" if asked.subresource == "status" else "main"
        with self.storage.rehearsal(request.asked("dryRun") == "All"):
            if write is not None:
                self.admission.check(attrs.evolve(write, body=body), now)
            if current is None:
                stored = self.storage.create(kind, body, now)
            else:
                stored = self.storage.update(kind, body, now, part=part)
        if asked.subresource == "scale":
            return of_json(scale_of(kind, asked.version, stored.body))
        code = 201 if current is None else 200
        return Answer(code, object_bytes(stored, asked.api_version, view, now), headers=warnings)

    def _admit_deletion(self, kind: Kind, asked: Attributes, found: Stored, options: Body) -> None:
        if asked.user is not None:
            old, dry_run = _in_version(found, asked.api_version), bool(options.get("dryRun"))
            place = (kind, asked.version, found.namespace, found.name)
            self.admission.changed(AdmittedWrite("DELETE", *place, asked.user, old=old, dry_run=dry_run))

    def _delete_one(self, kind: Kind, namespace: str, name: str, options: Body, now: float) -> tuple[Stored, bool]:
        conditions = options.get("preconditions") or {}
        with self.storage.rehearsal(bool(options.get("dryRun"))):
            return self.storage.delete(
                kind, namespace, name, now,
                uid=conditions.get("uid"), version=conditions.get("resourceVersion"),
                propagation=options.get("propagationPolicy"), grace=options.get("gracePeriodSeconds"),
            )  # fmt: skip

    def _validated(self, request: Request, kind: Kind, version: str, body: Body, old: Body | None) -> dict[str, str]:
        """Check a body, and complete it by its schema; return the headers that warn of dropped fields."""
        causes = metadata_causes(kind, body["metadata"])
        _check_options(request)
        validator = kind.versions[version].validator
        dropped = validator.complete(body)
        if dropped and _is_apply(request):
            place = f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"
            about = f"({place}; {kind.group}/{version}, Kind={kind.name})"
            words = f"failed to create typed patch object {about}: .{dropped[0]}: field not declared in schema"
            raise StatusError(500, "", words)
        warnings = _unknown_fields(request, kind, version, dropped)
        causes += validator.causes(body, old)
        if causes:
            raise invalid(kind.group, kind.name, body["metadata"].get("name") or "", causes)
        return warnings

    def _check_namespace(self, kind: Kind, asked: Attributes, body: Body) -> None:
        if not kind.namespaced:
            return
        found = self.storage.get(self.registry["namespaces"], "", asked.namespace)
        if found is None:
            raise not_found("", "namespaces", asked.namespace)
        if found.deleting:
            name = body["metadata"].get("name") or ""
            words = f"namespace {asked.namespace} is being terminated"
            causes = [{"reason": "NamespaceTerminating", "message": words, "field": "metadata.namespace"}]
            why = f"unable to create new content in namespace {asked.namespace} because it is being terminated"
            raise forbidden(kind.group, kind.resource, name, why, causes)

    def _check_version(self, kind: Kind, body: Body, name: str) -> None:
        if (kind.custom or kind.key in _CONDITIONAL) and not body["metadata"].get("resourceVersion"):
            cause = Cause.wrong("metadata.resourceVersion", "0", "must be specified for an update")
            raise invalid(kind.group, kind.name, name, [cause])


def _admitted(
    request: Request, kind: Kind, asked: Attributes, body: Body, current: Body | None
) -> AdmittedWrite | None:
    """Return a write as admission sees it; None where it is only rehearsed."""
    if asked.user is None:
        return None
    return AdmittedWrite(
        "CREATE" if current is None else "UPDATE", kind, asked.version, asked.namespace,
        body["metadata"].get("name") or "", asked.user, body, current,
        subresource=asked.subresource, dry_run=request.asked("dryRun") == "All",
    )  # fmt: skip


def _list_keys(kind: Kind, asked: Attributes) -> ListKeys:
    return kind.versions[asked.version].validator.list_keys


def _in_version(stored: Stored, api_version: str) -> Body:
    body = stored.copy()
    return events.converted(body, api_version) if stored.kind.key == events.KEY else {**body, "apiVersion": api_version}


def _is_apply(request: Request) -> bool:
    return content_type(request) == APPLY


def _manager(request: Request, asked: Attributes) -> Manager:
    name = request.asked("fieldManager") or request.headers.get("user-agent", "").partition("/")[0] or "unknown"
    return Manager(name, "Apply" if _is_apply(request) else "Update", asked.api_version, asked.subresource)


def _conditions(body: Body) -> Body:
    """Return the fields of the metadata that make a write conditional."""
    return {field: value for field in ("uid", "resourceVersion") if (value := body["metadata"].get(field))}


def _with_field(field: str, body: Body, other: Body) -> Body:
    """Return a body with a field as it is in another, or without it."""
    rest = {name: value for name, value in body.items() if name != field}
    return rest | {name: value for name, value in other.items() if name == field}


def _check_options(request: Request) -> None:
    for name, known in _OPTIONS.items():
        found = request.asked(name)
        if found and found not in known:
            kind = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(request.method, "PatchOptions")
            raise invalid("meta.k8s.io", kind, "", [Cause.unsupported(name, f'"{found}"', known)])


def _unknown_fields(request: Request, kind: Kind, version: str, dropped: list[str]) -> dict[str, str]:
    wanted = request.asked("fieldValidation", "Warn")
    if not dropped or wanted == "Ignore":
        return {}
    warnings = [f'unknown field "{path}"' for path in dropped]
    if wanted == "Strict":
        raise bad_request(
            f'{kind.name} in version "{version}" cannot be handled as a {kind.name}: '
            f"strict decoding error: {', '.join(warnings)}"
        )
    return {"Warning": ", ".join(f"299 - {msgspec.json.encode(words).decode()}" for words in warnings)}


def _options(request: Request) -> Body:
    body = decoded(request) if request.body else {}
    check(body, "DeleteOptions", "DeleteOptions", "v1")
    options = {key: value for key, value in body.items() if value is not None}
    for field in ("propagationPolicy", "dryRun"):
        if request.asked(field):
            options[field] = request.asked(field)
    if request.asked("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(request.asked("gracePeriodSeconds"))
    policy = options.get("propagationPolicy")
    if policy is not None and policy not in _POLICIES:
        cause = Cause.unsupported("propagationPolicy", f'"{policy}"', _POLICIES)
        raise invalid("meta.k8s.io", "DeleteOptions", "", [cause])
    return options
