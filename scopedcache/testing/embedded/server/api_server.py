"""The API server: a request and the time go in, an answer or a watch comes out. No loop, no socket, no clock.

In the order of a real one: who is it (401), whom does it impersonate, may it (403), is there such a thing (404, 405).
"""

from __future__ import annotations

import copy
from typing import Final

import attrs
import msgspec

from ..admission.admission import Admission
from ..auth.authentication import Authenticator
from ..auth.privilege_escalation import check_grant
from ..auth.rbac_authorizer import AUTHENTICATED, GROUP, MASTERS, Authorizer, Knowledge, forbidden_message
from ..auth.reviews import GROUPS, Reviews
from ..kinds.kind import Kind
from ..kinds.kind_registry import Registry
from ..patching.scale_subresource import scale_of
from ..storage.history import History
from ..storage.storage import Storage
from ..wire.messages import JSON, Answer, Request, of_json, of_status_error
from ..wire.request_attributes import (
    Attributes,
    User,
    attributes_of,
    impersonated,
    impersonated_extras,
    impersonated_groups,
)
from ..wire.status_errors import StatusError, forbidden, method_not_allowed, no_such_path, not_acceptable
from .custom_resource_definitions import Definitions, rebuilding
from .discovery_documents import VERSION, document, served
from .openapi import openapi
from .openapi_v2 import OPENAPI_V2, openapi_v2
from .reads import Reads
from .rendering import OFFERED, view_of
from .watches import Watch, Watches
from .writes import Writes


def _constrained(asked: Attributes, resource: str) -> Attributes:
    """Return what the server would also ask for: the finer right to impersonate for this one verb (KEP-5284).

    Only its refusal is played here: nobody has been granted it.
    """
    mode = "serviceaccount" if resource == "serviceaccounts" else "user-info"
    return attrs.evolve(asked, verb=f"impersonate-on:{mode}:{asked.verb}")


# What may be switched on of what a server does not do by default.
SHARDED_LIST_AND_WATCH: Final = "ShardedListAndWatch"
FEATURE_GATES: Final = (SHARDED_LIST_AND_WATCH,)
_SELECTING: Final = ("list", "watch", "deletecollection")
_HEALTH: Final = ("/healthz", "/livez", "/readyz")


@attrs.define(eq=False)
class Question:
    """A request that was understood: who asks what. `refusal` where there is nothing more to ask.

    `wait`: so many seconds the server keeps it before it answers. `starts`: how often the server had started by then.
    """

    request: Request
    asked: Attributes
    user: User | None
    refusal: StatusError | None = None
    starts: int = 0
    wait: float = 0.0


class Server:
    """Answers requests from a storage.

    Attributes:
        feature_gates: what is switched on; it may be changed at any time.
    """

    def __init__(
        self, storage: Storage, registry: Registry, admission: Admission | None = None, *, seed: int = 0
    ) -> None:
        self.storage = storage
        self.registry = registry
        self.admission = Admission(storage, registry) if admission is None else admission
        self.watches = Watches(storage, seed=seed)
        self.definitions = Definitions(storage, registry, self.watches)
        self.authenticator = Authenticator(storage, registry["serviceaccounts"])
        self.authorizer = Authorizer(storage, registry)
        self.starts = 0
        self.feature_gates: set[str] = set()
        self._synced_at = self._ready_at = 0.0
        self._reads = Reads(storage, self.watches, storage)
        self._writes = Writes(storage, registry, self.admission)
        self._reviews = Reviews(storage, registry, self.authorizer, self.authenticator)

    def beside(self, seen: History) -> Server:
        """Return another server on the same storage, whose watches, caches and rights are those it has `seen`."""
        other = copy.copy(self)
        other.feature_gates = set(self.feature_gates)
        other.watches = Watches(seen)
        self.definitions.watches.append(other.watches)
        other.authorizer = Authorizer(seen, self.registry)
        other._reads = Reads(self.storage, other.watches, seen)
        other._reviews = attrs.evolve(self._reviews, authorizer=other.authorizer)
        return other

    def restart(self, synced_at: float, meanwhile: Knowledge, ready_at: float) -> None:
        """Lose every watch, know no more than this about rights until then, and call itself ready not before that."""
        self.starts += 1
        self.watches.end_all(lost=True)
        self._synced_at, self._ready_at, self.authorizer.knows = synced_at, ready_at, meanwhile

    def understand(self, request: Request, now: float) -> Question:
        """Find out who asks what."""
        self._sync(now)
        asked = attributes_of(request)
        try:
            user = self.authenticator.identify(request, now)
            return Question(request, asked, self._impersonated(request, user), None, self.starts)
        except StatusError as refusal:
            return Question(request, asked, None, refusal, self.starts)

    def answer(self, question: Question, now: float) -> Answer | Watch:
        """Answer what was asked, or refuse."""
        self._sync(now)
        try:
            if question.refusal is not None or question.user is None:
                raise question.refusal or no_such_path()
            self._authorize(question.user, question.asked)
            return self._answered(question.request, question.asked, question.user, now)
        except StatusError as refusal:
            return of_status_error(refusal)

    def _sync(self, now: float) -> None:
        if now >= self._synced_at:
            self.authorizer.knows = "everything"

    def _impersonated(self, request: Request, user: User) -> User:
        wanted = impersonated(request)
        if wanted is None:
            return user
        places = [("", "users", wanted.name), *(("", "groups", group) for group in wanted.groups)]
        namespace = ""
        if wanted.name.startswith("system:serviceaccount:"):
            _, _, namespace, name = [*wanted.name.split(":"), "", "", ""][:4]
            places[0] = ("", "serviceaccounts", name)
        asked_groups = impersonated_groups(request)
        places = [one for one in places if one[1] != "groups" or one[2] in asked_groups]
        for group, resource, name in [*places, *impersonated_extras(request)]:
            place = namespace if resource == "serviceaccounts" else ""
            resource, _, subresource = resource.partition("/")
            asked = Attributes("impersonate", request.path, True, group, "", resource, subresource, place, name)
            if not self.authorizer.decide(user, asked).allowed:
                self._authorize(user, _constrained(attributes_of(request), resource))
        return attrs.evolve(wanted, groups=(*wanted.groups, AUTHENTICATED))

    def _authorize(self, user: User, asked: Attributes) -> None:
        decision = self.authorizer.decide(user, asked)
        if decision.allowed:
            return
        why = forbidden_message(user, asked)
        if decision.reason:
            why += f": {decision.reason}"
        if not asked.is_resource:
            raise StatusError(403, "Forbidden", f"forbidden: {why}", {})
        raise forbidden(asked.group, asked.resource, asked.name, why)

    def _answered(self, request: Request, asked: Attributes, user: User, now: float) -> Answer | Watch:
        if not asked.is_resource:
            return self._at_path(request, now)
        kind = self._kind(asked)
        if kind.group in GROUPS and asked.verb == "create":
            return self._reviews.answer(request, kind, asked, user, now)
        if asked.subresource:
            return self._of_subresource(request, kind, asked, user, now)
        if asked.verb not in kind.verbs:
            raise method_not_allowed(kind.group, kind.resource)
        if asked.verb in _SELECTING and SHARDED_LIST_AND_WATCH not in self.feature_gates:
            request = request.without("shardSelector")
        return self._of_object(request, kind, asked, user, now)

    def _of_object(self, request: Request, kind: Kind, asked: Attributes, user: User, now: float) -> Answer | Watch:
        match asked.verb:
            case "get":
                return self._reads.get(request, kind, asked, now)
            case "list":
                return self._reads.list(request, kind, asked, now)
            case "watch":
                if self.definitions.busy(kind, now):
                    raise rebuilding()
                return self._reads.watch(request, kind, asked, now)
            case "create" | "update" | "patch":
                return self._written(request, kind, asked, user, now)
            case "delete":
                return self._writes.delete(request, kind, attrs.evolve(asked, user=user), now)
            case "deletecollection":
                return self._writes.delete_collection(request, kind, attrs.evolve(asked, user=user), now)
        raise method_not_allowed(kind.group, kind.resource)

    def _written(self, request: Request, kind: Kind, asked: Attributes, user: User, now: float) -> Answer:
        write = getattr(self._writes, asked.verb)
        if asked.verb == "create" and self.definitions.is_going(kind):
            why = "create not allowed while custom resource definition is terminating"
            raise forbidden(kind.group, kind.resource, "", why)
        if asked.verb == "patch" and self._writes.would_create(request, kind, asked):
            self._authorize(user, attrs.evolve(asked, verb="create"))
        if kind.group == GROUP and MASTERS not in user.groups:
            plain = attrs.evolve(request, headers={**request.headers, "accept": JSON})
            with self.storage.rehearsal():
                made: Answer = write(plain, kind, asked, now)
            check_grant(self.authorizer, user, kind, asked, msgspec.json.decode(made.body))
        return write(request, kind, attrs.evolve(asked, user=user), now)  # type: ignore[no-any-return]

    def _of_subresource(
        self, request: Request, kind: Kind, asked: Attributes, user: User, now: float
    ) -> Answer | Watch:
        if not served(kind, asked.version, asked.subresource):
            raise no_such_path()
        match asked.subresource, asked.verb:
            case "token", "create":
                return self._reviews.token(request, asked, now)
            case "scale", "get":
                found = self.storage.existing(kind, asked.namespace, asked.name)
                return of_json(scale_of(kind, asked.version, found.body))
            case "status", "get":
                return self._reads.get(request, kind, asked, now)
            case "status" | "scale", "update":
                return self._writes.update(request, kind, attrs.evolve(asked, user=user), now)
            case "status" | "scale", "patch":
                return self._writes.patch(request, kind, attrs.evolve(asked, user=user), now)
        raise method_not_allowed(kind.group, kind.resource)

    def _kind(self, asked: Attributes) -> Kind:
        kind = self.registry.find(asked.group, asked.resource)
        if kind is None or asked.version not in kind.versions:
            raise no_such_path()
        named = asked.namespace and kind.key != ("", "namespaces")
        if named and not kind.namespaced:
            raise no_such_path()
        if not asked.name and asked.verb in ("update", "patch"):
            raise method_not_allowed(kind.group, kind.resource)
        if kind.namespaced and not asked.namespace and asked.verb not in ("list", "watch"):
            if asked.verb in ("create", "deletecollection"):
                raise method_not_allowed(kind.group, kind.resource)
            raise no_such_path()
        return kind

    def _at_path(self, request: Request, now: float) -> Answer:
        path = request.path.rstrip("/") or "/"
        if path == "/readyz" and now < self._ready_at:
            return Answer(500, b"readyz check failed", "text/plain; charset=utf-8")
        if path.startswith(_HEALTH):
            return Answer(200, b"ok", "text/plain; charset=utf-8")
        if path == "/version":
            return of_json(VERSION)
        if request.method not in ("GET", "HEAD"):
            raise no_such_path()
        if path == OPENAPI_V2:
            return openapi_v2()
        body = (openapi if path.startswith("/openapi") else document)(self.registry, path)
        if body is None:
            raise no_such_path()
        if view_of(request) != "whole":
            raise not_acceptable(OFFERED)
        return of_json(body)
