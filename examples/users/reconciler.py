"""A User gets a Namespace of its name, and in it a RoleBinding for each of its groups.

Both are owned by the User: the garbage collector takes them away with it, and no finalizer is needed. What a group
means stands in the ConfigMap `groups`, beside the program: key = group, value = ClusterRole.
"""

from collections.abc import Iterable
from typing import Annotated

import attrs
from msgspec import Meta

from scopedcache import GVK, Controller, Need, Object, Request, Watch
from scopedcache.kit import Setup, apply_set, in_each, new_object

USER, NAMESPACE, CONFIG_MAP = GVK("example.com", "v1", "User"), GVK("", "v1", "Namespace"), GVK("", "v1", "ConfigMap")
ROLE_BINDING = GVK("rbac.authorization.k8s.io", "v1", "RoleBinding")
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
        client, shown = self.setup.client, self.setup.cache.cluster
        user, namespace = shown.get(USER, request.key), shown.get(NAMESPACE, request.key)
        if user is None or user.deletion_timestamp or (namespace and namespace.deletion_timestamp):
            return  # when a Namespace is gone, we are called again
        if namespace is None:
            await client.create(new_object(NAMESPACE, user.name, owner=user))
        elif namespace.controller is None or namespace.controller.uid != user.uid:
            self.setup.warn(user, "NameTaken", f"Namespace {user.name} is not this User's: rename the User")
            return
        groups = shown.in_namespace(self.setup.namespace).get(CONFIG_MAP, "groups")
        wanted, roles = user.at("spec", "groups", default=[]), groups.at("data", default={}) if groups else {}
        if unknown := ", ".join(sorted({*wanted} - {*roles})):
            self.setup.warn(user, "UnknownGroup", f"the ConfigMap groups does not say what {unknown} may do")
        bindings = [binding(user, group, roles[group]) for group in wanted if group in roles]
        needs = [Need(ROLE_BINDING, verbs=("create", "delete", "patch"))]
        places = await in_each(self.setup.cache, user, needs, [user.name], lambda scope:
            apply_set(client, scope, ROLE_BINDING, bindings, recreate_on_immutable="roleRef"))  # fmt: skip
        places.record(self.setup.recorder, user)
        places.check()


def binding(user: Object, group: str, role: str) -> Object:
    subject = {"apiGroup": ROLE_BINDING.group, "kind": "User", "name": user.name}
    reference = {"apiGroup": ROLE_BINDING.group, "kind": "ClusterRole", "name": role}
    return new_object(ROLE_BINDING, f"group-{group}", user.name, owner=user, roleRef=reference, subjects=[subject])


def assemble(setup: Setup) -> Iterable[Controller]:
    by_name = Watch(NAMESPACE, lambda namespace: [namespace.key])  # whoever's it is: the name may be taken
    groups = Watch(CONFIG_MAP, setup.every(USER), namespace=setup.namespace)
    reconcile = UserReconciler(setup)
    yield Controller(for_=USER, reconcile=reconcile, watches=[by_name, groups], workers=setup.options.workers)
