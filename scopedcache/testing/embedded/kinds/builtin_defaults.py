"""What the server fills in for built-in kinds: as much as makes a second write of the same manifest change nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

from ..wire.status_errors import Body
from .kind import Kind
from .quantities import canonical_map

_RBAC: Final = "rbac.authorization.k8s.io"


def prepared(kind: Kind, body: Body, old: Body | None) -> Body:
    """Return a body as a server stores it; `old` is None at its creation. The one given is not changed."""
    complete = _BY_KIND.get(kind.key)
    return body if complete is None else complete(body, old)


def _namespace(body: Body, old: Body | None) -> Body:
    if old is None:
        return new_namespace(body)
    return {**body, "spec": old.get("spec") or {}}  # its finalizers are not for writers


def _deployment(body: Body, old: Body | None) -> Body:
    spec = _with_template(body.get("spec") or {})
    strategy: Body = {"type": "RollingUpdate"} | _given(spec.get("strategy"))
    if strategy["type"] == "RollingUpdate":
        amounts = {"maxUnavailable": "25%", "maxSurge": "25%"}
        strategy["rollingUpdate"] = amounts | _given(strategy.get("rollingUpdate"))
    defaults = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    return {**body, "spec": defaults | spec | {"strategy": strategy}} | ({} if old else {"status": {}})


def _replica_set(body: Body, old: Body | None) -> Body:
    return {**body, "spec": {"replicas": 1} | _with_template(body.get("spec") or {})} | (
        {} if old else {"status": {"replicas": 0}}
    )


def _pod(body: Body, old: Body | None) -> Body:
    account = {"serviceAccountName": "default", "serviceAccount": "default", "enableServiceLinks": True}
    spec: Body = account | _pod_spec(body.get("spec") or {})
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [{**each, "resources": _resources(each.get("resources") or {})} for each in spec[field]]
    status = {} if old is not None else {"status": {"phase": "Pending", "qosClass": "BestEffort"}}
    return {**body, "spec": spec} | status


def _given(value: Any) -> Body:
    """Return the fields that have a value: null is what Go takes for missing."""
    return {key: inner for key, inner in (value or {}).items() if inner is not None}


def _with_template(spec: Body) -> Body:
    spec = _given(spec)
    template = _given(spec.get("template"))
    metadata = {"creationTimestamp": None} | _given(template.get("metadata"))
    return {**spec, "template": {**template, "metadata": metadata, "spec": _pod_spec(template.get("spec") or {})}}


def _pod_spec(spec: Body) -> Body:
    defaults: Body = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    lists = ("containers", "initContainers")
    spec = _given(spec)
    return defaults | spec | {field: [_container(_given(c)) for c in spec[field]] for field in lists if spec.get(field)}


def _container(container: Body) -> Body:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    defaults: Body = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent",
    }
    ports = container.get("ports")
    return defaults | container | ({"ports": [{"protocol": "TCP"} | port for port in ports]} if ports else {})


def _resources(resources: Body) -> Body:
    """Return resources as those of a Pod are stored: what is not asked for is asked for up to its limit."""
    requests = (resources.get("limits") or {}) | (resources.get("requests") or {})
    whole = resources | ({"requests": requests} if requests else {})
    return {side: canonical_map(amounts) for side, amounts in whole.items()}


def _secret(body: Body, _: Body | None) -> Body:
    plain = body.get("stringData") or {}
    data = {**(body.get("data") or {}), **{k: base64.b64encode(v.encode()).decode() for k, v in plain.items()}}
    rest = {key: value for key, value in body.items() if key != "stringData"}
    return {"type": "Opaque"} | rest | ({"data": data} if data else {})


def _binding(body: Body, _: Body | None) -> Body:
    subjects = [
        ({} if subject.get("kind") == "ServiceAccount" else {"apiGroup": _RBAC}) | _given(subject)
        for subject in body.get("subjects") or ()
    ]
    role = {"apiGroup": _RBAC} | _given(body.get("roleRef"))
    return {**body, "roleRef": role} | ({"subjects": subjects} if subjects else {})


def _quota(body: Body, _: Body | None) -> Body:
    spec = _given(body.get("spec"))
    status: Body = {} if "status" in body else {"status": {}}
    return {**body, "spec": spec | ({"hard": canonical_map(spec["hard"])} if "hard" in spec else {})} | status


def _limit_range(body: Body, _: Body | None) -> Body:
    spec = _given(body.get("spec"))
    return {**body, "spec": {**spec, "limits": [_limit(_given(limit)) for limit in spec.get("limits") or ()]}}


def _limit(limit: Body) -> Body:
    limit = {field: canonical_map(value) for field, value in limit.items()}
    if limit.get("type") != "Container":
        return limit
    default = (limit.get("max") or {}) | (limit.get("default") or {})
    request = (limit.get("min") or {}) | default | (limit.get("defaultRequest") or {})
    return limit | ({"default": default} if default else {}) | ({"defaultRequest": request} if request else {})


def _network_policy(body: Body, _: Body | None) -> Body:
    spec: Body = {"podSelector": {}} | _given(body.get("spec"))
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for way in ("ingress", "egress"):
        if spec.get(way):
            spec[way] = [_with_protocols(rule) for rule in spec[way]]
    return {**body, "spec": spec}


def _with_protocols(rule: Body) -> Body:
    return {**rule, "ports": [{"protocol": "TCP"} | port for port in rule["ports"]]} if rule.get("ports") else rule


def _validating(body: Body, _: Body | None) -> Body:
    return {**body, "webhooks": [_webhook(_given(hook)) for hook in body.get("webhooks") or ()]}


def _mutating(body: Body, _: Body | None) -> Body:
    hooks = [{"reinvocationPolicy": "Never"} | _webhook(_given(hook)) for hook in body.get("webhooks") or ()]
    return {**body, "webhooks": hooks}


def _webhook(hook: Body) -> Body:
    defaults: Body = {
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
    }
    client = _given(hook.get("clientConfig"))
    if "service" in client:
        client["service"] = {"port": 443} | _given(client["service"])
    rules = [{"scope": "*"} | _given(rule) for rule in hook.get("rules") or ()]
    return defaults | hook | {"clientConfig": client} | ({"rules": rules} if rules else {})


def _definition(body: Body, _: Body | None) -> Body:
    spec = without_nulls(body.get("spec") or {})
    kind = spec.get("names", {}).get("kind", "")
    names = {"singular": kind.lower(), "listKind": f"{kind}List"} | spec.get("names", {})
    return {**body, "spec": {"conversion": {"strategy": "None"}} | spec | {"names": names}}


_BY_KIND: Final[dict[tuple[str, str], Callable[[Body, Body | None], Body]]] = {
    ("", "namespaces"): _namespace,
    ("", "pods"): _pod,
    ("", "secrets"): _secret,
    ("", "resourcequotas"): _quota,
    ("", "limitranges"): _limit_range,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _validating,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _mutating,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    (_RBAC, "rolebindings"): _binding,
    (_RBAC, "clusterrolebindings"): _binding,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
}


def without_nulls(value: Any) -> Any:
    """Return a value without the fields that are null: Go takes them for missing."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def new_namespace(body: Body) -> Body:
    """Return a namespace as it is stored: active, held by its finalizer, and labelled with its own name."""
    metadata = dict(body["metadata"])
    labels = {**(metadata.get("labels") or {}), "kubernetes.io/metadata.name": metadata.get("name") or ""}
    spec = {"finalizers": ["kubernetes"]}
    return {**body, "metadata": metadata | {"labels": labels}, "spec": spec, "status": {"phase": "Active"}}
