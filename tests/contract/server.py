"""One way to ask either server: plain requests, watches read event by event, and rights given and taken by an admin."""

from __future__ import annotations

import abc
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs

from scopedcache.testing import Grant, Identity
from scopedcache.testing.identities import service_account_groups
from scopedcache.testing.rbac import Rights
from scopedcache.testing.resources import Resources
from scopedcache.testing.rest import JSON, read_answer

T = TypeVar("T")
Callback = Callable[[dict[str, Any]], Mapping[str, Any]]
ALL = ("get", "list", "watch", "create", "update", "patch", "delete")
READ = ("get", "list", "watch")
_numbers = itertools.count(1)


@attrs.frozen
class Answer:
    """What the server said to one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def reason(self) -> str:
        return str(self.json.get("reason", ""))

    @property
    def details(self) -> dict[str, Any]:
        return dict(self.json.get("details") or {})

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Return reason and field of each cause, sorted."""
        return sorted((cause.get("reason", ""), cause.get("field", "")) for cause in self.details.get("causes", []))


class Watch(abc.ABC):
    """An open watch: its answer's status, and its events one by one."""

    status: int

    @abc.abstractmethod
    def next(self) -> dict[str, Any] | None:
        """Wait for the next event; None at the end of the stream. Fails when neither comes in time."""

    @abc.abstractmethod
    def close(self) -> None: ...

    def until(self, enough: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the events up to the first one that is enough."""
        seen = []
        while (event := self.next()) is not None:
            seen.append(event)
            if enough(event):
                return seen
        raise AssertionError(f"the watch ended before; it had delivered {short(seen)}")

    def rest(self) -> list[dict[str, Any]]:
        """Return what is left, up to the end of the stream."""
        return list(iter(self))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (event := self.next()) is not None:
            yield event

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(Resources, Rights, abc.ABC):
    """An API server under contract. Requests are the admin's unless they name somebody."""

    name: str

    def __init__(self) -> None:
        Resources.__init__(self, self.request)
        Rights.__init__(self, self.request)
        self._numbers = _numbers  # role names are unique over all cases that share a real server

    @abc.abstractmethod
    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send one request and return the answer. `target` is a path with its query."""

    @abc.abstractmethod
    def open(self, target: str, headers: Mapping[str, str]) -> Watch:
        """Open a watch."""

    @abc.abstractmethod
    def eventually(self, check: Callable[[], T | Literal[False] | None], timeout: float = 20.0) -> T:
        """Return the first true answer of `check`; fail when it does not come in time."""

    @abc.abstractmethod
    def pass_time(self, seconds: float) -> None:
        """Let the server live for some seconds."""

    @abc.abstractmethod
    def compact(self) -> None:
        """Forget the history up to now."""

    @abc.abstractmethod
    def outdated(self, token: str) -> str:
        """Return a `continue` token that was issued before the history that the server remembers."""

    @abc.abstractmethod
    def admission(
        self, resource: str, callback: Callback, *, operations: Iterable[str]
    ) -> AbstractContextManager[None]:
        """Ask `callback` about writes of a resource, in a `with`: in goes the `request` of an AdmissionReview."""

    @abc.abstractmethod
    def token_of(self, who: Identity | None) -> str:
        """Return the bearer token that requests of `who` carry (None is the admin); empty sends none."""

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        who: Identity | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        **query: Any,
    ) -> Answer:
        """Send a request, whatever its answer. A body in bytes is sent as it is."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        return self.send(method, target(path, query), data, headers | self._as(who))

    def watch(self, path: str, *, who: Identity | None = None, accept: str = JSON, **query: Any) -> Watch:
        """Open a watch that lasts 30 seconds unless said otherwise."""
        asked = {"watch": "true", "timeoutSeconds": 30, **query}
        return self.open(target(path, asked), {"Accept": accept} | self._as(who))

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request as the admin; raise what a refusal means."""
        answer = self.call(method, path, body, content_type=content_type, **(query or {}))
        return read_answer(method, path, answer.status, answer.body)

    def person(self, *groups: str) -> Identity:
        """Return a user whom nobody else has heard of; the admin impersonates it."""
        return Identity(f"user-{next(_numbers)}", groups, "", Path(), Path())

    def service_account_identity(self, namespace: str, name: str) -> Identity:
        """Create a ServiceAccount and return it with a requested token."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.request("POST", path, {"metadata": {"name": name}})
        token = self.request("POST", f"{path}/{name}/token", {"spec": {"expirationSeconds": 600}})["status"]["token"]
        username, groups = f"system:serviceaccount:{namespace}:{name}", service_account_groups(namespace)
        return Identity(username, groups, token, Path(), Path(), "ServiceAccount", namespace, name)

    def may(self, who: Identity, verbs: tuple[str, ...], *resources: str, **place: Any) -> Grant:
        """Grant rights and wait until they hold (to look at, for rights to named objects, by `get` of the first)."""
        grant = self.grant(who, verbs, resources, **place)
        asked = {"namespace": place.get("namespace"), "name": next(iter(place.get("names", ())), None)}
        resource, _, subresource = resources[0].partition("/")
        self.eventually(lambda: self.allowed(who, verbs[0], resource, subresource=subresource, **asked))
        return grant

    def take(self, grant: Grant, who: Identity, verb: str, resource: str, namespace: str | None = None) -> None:
        """Revoke a grant and wait until it no longer holds."""
        grant.revoke()
        self.eventually(lambda: not self.allowed(who, verb, resource, namespace))

    def new_name(self, stem: str = "thing") -> str:
        return f"{stem}-{next(_numbers)}"

    def _as(self, who: Identity | None) -> dict[str, str]:
        if who is not None and not who.token:
            impersonated = {"Impersonate-User": who.username}
            if who.groups:
                assert len(who.groups) == 1
                impersonated["Impersonate-Group"] = who.groups[0]
            return {"Authorization": f"Bearer {self.token_of(None)}", **impersonated}
        token = self.token_of(who)
        return {"Authorization": f"Bearer {token}"} if token else {}


def target(path: str, query: Mapping[str, Any]) -> str:
    """Return a request target."""
    from urllib.parse import urlencode

    pairs = [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in query.items()]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def short(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return type and name of events."""
    return [(event["type"], event["object"].get("metadata", {}).get("name", "")) for event in events]


def names(items: list[dict[str, Any]]) -> list[str]:
    """Return the names of objects."""
    return [item["metadata"]["name"] for item in items]
