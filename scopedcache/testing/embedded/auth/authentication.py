"""Tokens, and whom they stand for. All of them are random; nothing leaves this process but in a kubeconfig."""

from __future__ import annotations

import secrets
from typing import Final

import attrs

from ..clock import wall
from ..kinds.kind import Kind
from ..storage.storage import Storage, Stored
from ..wire.messages import Request
from ..wire.request_attributes import User, account_groups
from ..wire.status_errors import unauthorized
from .rbac_authorizer import AUTHENTICATED, UNAUTHENTICATED

# The server remembers a good token for so long: a ServiceAccount that was deleted can go on until then.
TOKEN_CACHE_SECONDS: Final = 10.0


@attrs.define(eq=False)
class _Login:
    """What stands behind a token. `account` is the uid of a ServiceAccount: its successor has another one."""

    user: User
    account: str = ""
    expires: float = float("inf")
    checked: float = float("-inf")


class Authenticator:
    """Who may sign in."""

    def __init__(self, storage: Storage, service_accounts: Kind) -> None:
        self._storage = storage
        self._kind = service_accounts
        self._logins: dict[str, _Login] = {}

    def add(self, name: str, groups: tuple[str, ...] = ()) -> str:
        """Return a new token of a user."""
        return self._new(_Login(User(name, (*groups, AUTHENTICATED))))

    def add_service_account(self, account: Stored, now: float, seconds: int = 3600) -> str:
        """Return a new token of a ServiceAccount."""
        name = f"system:serviceaccount:{account.namespace}:{account.name}"
        return self._new(
            _Login(User(name, (*account_groups(name), AUTHENTICATED), account.uid), account.uid, wall(now) + seconds)
        )

    def identify(self, request: Request, now: float) -> User:
        """Return who sends a request.

        Raises:
            StatusError: 401, a token that nobody has, or that is no longer good.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return User("system:anonymous", (UNAUTHENTICATED,))
        return self.bearer(token.strip() if scheme.lower() == "bearer" else "", now)

    def bearer(self, token: str, now: float) -> User:
        """Return whose token it is.

        Raises:
            StatusError: 401, a token that nobody has, or that is no longer good.
        """
        login = self._logins.get(token)
        if login is None or wall(now) >= login.expires or not self._is_good(login, now):
            raise unauthorized()
        return login.user

    def _is_good(self, login: _Login, now: float) -> bool:
        if not login.account or 0 <= now - login.checked < TOKEN_CACHE_SECONDS:
            return True
        _, _, namespace, name = login.user.name.split(":")
        account = self._storage.get(self._kind, namespace, name)
        if account is None or account.uid != login.account:
            return False
        login.checked = now
        return True

    def _new(self, login: _Login) -> str:
        token = secrets.token_urlsafe(24)
        self._logins[token] = login
        return token
