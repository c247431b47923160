"""The types of built-in kinds, as far as the server and its controllers rely on them: what else comes is 400.

As in Go, every field may be missing or null; whether a value makes sense is for `shapes` and `validation`.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from .kinds import Kind
from .refusals import bad_request

Texts = dict[str, str] | None
Names = list[str] | None
_GO: Final = {"str": "string", "int": "number", "float": "number", "bool": "bool", "array": "array", "object": "object"}
_TROUBLE: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<found>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")


class _Wire(msgspec.Struct, rename="camel"):
    pass


class OwnerReference(_Wire):
    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(_Wire):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    labels: Texts = None
    annotations: Texts = None
    finalizers: Names = None
    owner_references: list[OwnerReference] | None = None
    managed_fields: list[dict[str, Any]] | None = None


class Object(_Wire):
    api_version: str | None = None
    kind: str | None = None
    metadata: ObjectMeta | None = None


class Requirement(_Wire):
    key: str | None = None
    operator: str | None = None
    values: Names = None


class LabelSelector(_Wire):
    match_labels: Texts = None
    match_expressions: list[Requirement] | None = None


class ContainerPort(_Wire):
    name: str | None = None
    container_port: int | None = None
    protocol: str | None = None


class Container(_Wire):
    name: str | None = None
    image: str | None = None
    command: Names = None
    args: Names = None
    ports: list[ContainerPort] | None = None
    env: list[dict[str, Any]] | None = None
    volume_mounts: list[dict[str, Any]] | None = None
    resources: dict[str, Any] | None = None


class PodSpec(_Wire):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    volumes: list[dict[str, Any]] | None = None
    node_name: str | None = None
    service_account_name: str | None = None
    termination_grace_period_seconds: int | None = None
    restart_policy: str | None = None


class Condition(_Wire):
    type: str | None = None
    status: str | None = None


class PodStatus(_Wire):
    phase: str | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[dict[str, Any]] | None = None


class Pod(Object):
    spec: PodSpec | None = None
    status: PodStatus | None = None


class Template(_Wire):
    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None


class RollingUpdate(_Wire):
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None


class Strategy(_Wire):
    type: str | None = None
    rolling_update: RollingUpdate | None = None


class WorkloadSpec(_Wire):
    replicas: int | None = None
    min_ready_seconds: int | None = None
    progress_deadline_seconds: int | None = None
    revision_history_limit: int | None = None
    paused: bool | None = None
    selector: LabelSelector | None = None
    strategy: Strategy | None = None
    template: Template | None = None


class WorkloadStatus(_Wire):
    replicas: int | None = None
    ready_replicas: int | None = None
    available_replicas: int | None = None
    conditions: list[Condition] | None = None


class Workload(Object):
    spec: WorkloadSpec | None = None
    status: WorkloadStatus | None = None


class NamespaceSpec(_Wire):
    finalizers: Names = None


class Namespace(Object):
    spec: NamespaceSpec | None = None
    status: dict[str, Any] | None = None


class Data(Object):
    data: Texts = None
    binary_data: Texts = None
    string_data: Texts = None
    type: str | None = None
    immutable: bool | None = None


class Rule(_Wire):
    verbs: Names = None
    api_groups: Names = None
    resources: Names = None
    resource_names: Names = None
    non_resource_urls: Names = msgspec.field(default=None, name="nonResourceURLs")


class Aggregation(_Wire):
    cluster_role_selectors: list[LabelSelector] | None = None


class Role(Object):
    rules: list[Rule] | None = None
    aggregation_rule: Aggregation | None = None


class Subject(_Wire):
    kind: str | None = None
    api_group: str | None = None
    name: str | None = None
    namespace: str | None = None


class Binding(Object):
    role_ref: Subject | None = None
    subjects: list[Subject] | None = None


class LeaseSpec(_Wire):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None


class Lease(Object):
    spec: LeaseSpec | None = None


class Event(Object):
    note: str | None = None
    message: str | None = None
    reason: str | None = None
    type: str | None = None
    regarding: dict[str, Any] | None = None
    involved_object: dict[str, Any] | None = None
    series: dict[str, Any] | None = None


class Schema(_Wire):
    type: str | None = None
    format: str | None = None
    pattern: str | None = None
    properties: dict[str, Schema] | msgspec.UnsetType = msgspec.UNSET
    additional_properties: bool | Schema | None = None
    items: Schema | None = None
    required: Names = None
    enum: list[Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    list_type: str | None = msgspec.field(default=None, name="x-kubernetes-list-type")
    list_map_keys: Names = msgspec.field(default=None, name="x-kubernetes-list-map-keys")


class VersionSchema(_Wire):
    open_api: Schema | None = msgspec.field(default=None, name="openAPIV3Schema")


class JSONPath(_Wire):
    json_path: str = ""
    name: str | None = None
    type: str | None = None


class Scale(_Wire):
    spec_replicas_path: str = ""
    status_replicas_path: str = ""
    label_selector_path: str | None = None


class Subresources(_Wire):
    status: dict[str, Any] | None = None
    scale: Scale | None = None


class DefinitionVersion(_Wire):
    name: str = ""
    served: bool = False
    storage: bool = False
    schema: VersionSchema | None = None
    subresources: Subresources | None = None
    additional_printer_columns: list[JSONPath] | None = None
    selectable_fields: list[JSONPath] | None = None


class DefinitionNames(_Wire):
    plural: str = ""
    kind: str = ""
    singular: str | None = None
    list_kind: str | None = None
    short_names: Names = None
    categories: Names = None


class DefinitionSpec(_Wire):
    group: str = ""
    scope: str = ""
    names: DefinitionNames | None = None
    versions: list[DefinitionVersion] | None = None


class Definition(Object):
    spec: DefinitionSpec | None = None
    status: dict[str, Any] | None = None


class ReviewSpec(_Wire):
    user: str | None = None
    groups: Names = None
    namespace: str | None = None
    resource_attributes: dict[str, str | dict[str, Any] | None] | None = None
    non_resource_attributes: Texts = None


class Review(Object):
    spec: ReviewSpec | None = None


class TokenSpec(_Wire):
    audiences: Names = None
    expiration_seconds: int | None = None


class TokenRequest(Object):
    spec: TokenSpec | None = None


class Plain(Object):
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


_RBAC: Final = "rbac.authorization.k8s.io"
TYPES: Final[dict[tuple[str, str], type[Object]]] = {
    ("", "namespaces"): Namespace,
    ("", "nodes"): Plain,
    ("", "services"): Plain,
    ("", "pods"): Pod,
    ("", "configmaps"): Data,
    ("", "secrets"): Data,
    ("", "events"): Event,
    ("apps", "deployments"): Workload,
    ("apps", "replicasets"): Workload,
    (_RBAC, "roles"): Role,
    (_RBAC, "clusterroles"): Role,
    (_RBAC, "rolebindings"): Binding,
    (_RBAC, "clusterrolebindings"): Binding,
    ("coordination.k8s.io", "leases"): Lease,
    ("apiextensions.k8s.io", "customresourcedefinitions"): Definition,
}


def check_types(body: Any, kind: Kind) -> None:
    """Refuse (400) a body whose fields are of other types than those of its kind; of a custom one: its metadata."""
    fits = Review if kind.group == "authorization.k8s.io" else TYPES.get(kind.key, Object)
    check(body, fits, kind.name, kind.served[0])


def check(body: Any, fits: type[Object], name: str, version: str) -> None:
    """Refuse (400) a body that cannot be read as a type."""
    try:
        msgspec.convert(body, fits)
    except msgspec.ValidationError as error:
        words = f'{name} in version "{version}" cannot be handled as a {name}: json: {_words(error, name)}'
        raise bad_request(words) from error


def _words(error: Exception, name: str) -> str:
    found = _TROUBLE.match(str(error))
    if found is None:
        return str(error)
    given, wanted = _GO.get(found["found"], found["found"]), found["wanted"].removesuffix(" | null")
    return f"cannot unmarshal {given} into Go struct field {name}.{found['path'] or ''} of type {wanted}"
