"""What the program's own user must be allowed, to act as somebody else."""

from __future__ import annotations

from typing import Final

from ..identity import SERVICE_ACCOUNT_PREFIX, As, Identity, ServiceAccount
from .impersonation_denial import IMPERSONATE
from .permission import Permission

_AUTHENTICATION: Final = "authentication.k8s.io"


def rights_to_act_as(identity: Identity | None) -> tuple[Permission, ...]:
    """Return the rights that it takes to act as an identity; none for the program's own user.

    Each names whom it is about, so that rights given by `resourceNames` are enough.
    """
    match identity:
        case ServiceAccount(namespace, name):
            return (Permission("create", "", "serviceaccounts", namespace, "token", name),)
        case As():
            return (_right_to_user(identity.user), *_other_rights(identity))
    return ()


def _right_to_user(user: str) -> Permission:
    namespace, colon, name = user.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
    if user.startswith(SERVICE_ACCOUNT_PREFIX) and colon and namespace and name and ":" not in name:
        return Permission(IMPERSONATE, "", "serviceaccounts", namespace, name=name)
    return Permission(IMPERSONATE, "", "users", None, name=user)


def _other_rights(identity: As) -> list[Permission]:
    rights = [Permission(IMPERSONATE, "", "groups", None, name=group) for group in identity.groups]
    if identity.uid:
        rights.append(Permission(IMPERSONATE, _AUTHENTICATION, "uids", None, name=identity.uid))
    for key, values in identity.extra:
        rights += [Permission(IMPERSONATE, _AUTHENTICATION, "userextras", None, key, value) for value in values]
    return rights
