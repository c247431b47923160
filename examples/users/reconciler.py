"""A User gets a Namespace of its name, and in it a RoleBinding for each of its groups.

Both are owned by the User: the garbage collector takes them away with it, and no finalizer is needed. What a group
means stands in the ConfigMap `groups`, beside the program: key = group, value = ClusterRole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import attrs
from msgspec import Meta

from scopedcache import GVK, Controller, Need, Object, ObjectKey, Request, Watch
from scopedcache.cache import ResourceCache
from scopedcache.kit import Setup, apply, create_or_update, in_each, prune, set_controller_reference

USER = GVK("example.com", "v1", "User")
NAMESPACE, CONFIG_MAP = GVK("", "v1", "Namespace"), GVK("", "v1", "ConfigMap")
ROLE_BINDING = GVK("rbac.authorization.k8s.io", "v1", "RoleBinding")
GROUPS = "groups"

Group = Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=57)]
Groups = Annotated[list[Group], Meta(extra_json_schema={"x-kubernetes-list-type": "set"})]


@attrs.frozen
class UserSpec:
    display_name: Annotated[str, Meta(min_length=1, description="What people call them.")]
    groups: Groups = attrs.field(factory=list)


@attrs.frozen
class UserReconciler:
    setup: Setup

    async def reconcile(self, request: Request) -> None:
        shown = self.setup.cache.cluster
        user, namespace = shown.get(USER, request.key), shown.get(NAMESPACE, request.key)
        if user is None or user.deletion_timestamp or (namespace and namespace.deletion_timestamp):
            return  # when a Namespace is gone, we are called again
        if namespace and (namespace.controller is None or namespace.controller.uid != user.uid):
            self.warn(user, "NameTaken", f"Namespace {user.name} is not this User's: rename the User, or delete it")
            return
        wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": user.name}}
        await create_or_update(self.setup.client, wanted, lambda n: set_controller_reference(user, n), read=shown.get)
        groups = shown.in_namespace(self.setup.namespace).get(CONFIG_MAP, GROUPS)
        roles = groups.at("data", default={}) if groups else {}
        if unknown := [group for group in user.at("spec", "groups", default=[]) if group not in roles]:
            self.warn(user, "UnknownGroup", f"the ConfigMap {GROUPS} does not say what {', '.join(unknown)} may do")
        needs = [Need(ROLE_BINDING, verbs=("create", "delete", "patch"))]
        places = await in_each(self.setup.cache, user, needs, [user.name], lambda scope: self.bind(user, roles, scope))
        places.record(self.setup.recorder, user)
        places.check()

    async def bind(self, user: Object, roles: Mapping[str, str], scope: ResourceCache) -> None:
        wanted = [
            binding(user, group, roles[group]) for group in user.at("spec", "groups", default=[]) if group in roles
        ]
        for one in wanted:
            await apply(self.setup.client, one, read=scope.get, recreate_on_immutable="roleRef")
        await prune(self.setup.client, scope, ROLE_BINDING, keep=[one.name for one in wanted])

    def warn(self, user: Object, reason: str, note: str) -> None:
        self.setup.recorder.record(user, reason, note, type="Warning")


def binding(user: Object, group: str, role: str) -> Object:
    """Return the RoleBinding that gives a User what a group may do."""
    api = ROLE_BINDING.group
    made: dict[str, Any] = {
        "apiVersion": ROLE_BINDING.api_version,
        "kind": "RoleBinding",
        "metadata": {"name": f"group-{group}", "namespace": user.name},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": user.name}],
    }
    result = Object.from_dict(made)
    set_controller_reference(user, result)
    return result


def assemble(setup: Setup) -> Iterable[Controller]:
    def everybody(_: Object) -> Iterable[ObjectKey]:
        return [user.key for user in setup.cache.cluster.list(USER)]

    yield Controller(
        for_=USER,
        reconcile=UserReconciler(setup),
        watches=[
            Watch(NAMESPACE, lambda namespace: [namespace.key], metadata_only=True),  # of its name, whoever's it is
            Watch(CONFIG_MAP, everybody, namespace=setup.namespace),
        ],
        workers=setup.options.workers,
    )
