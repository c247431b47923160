"""The blocking twin of the client: requests by kind, each waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from .. import api
from ..api.access_reviews import Rules
from ..api.object_list import ObjectList
from ..api.permission import Permission
from ..api.request_query import FIELD_MANAGER, PAGE_OBJECTS, PatchType, Propagation
from ..kinds import Kind, ObjectKey
from ..objects import Object
from ..selectors import Labels
from .portal import Portal

P = ParamSpec("P")
T = TypeVar("T")


class Client:
    """`scopedcache.Client`, blocking; see there for what each method promises and raises.

    From `connect`, from `of`, or from a cache's `client`.
    """

    def __init__(self, client: api.Client, portal: Portal) -> None:
        self._client = client
        self._portal = portal

    @classmethod
    @contextmanager
    def connect(
        cls,
        *,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        client: Any = None,
        timeout: float | None = None,
    ) -> Iterator[Client]:
        """Yield a client with a loop in a thread of its own; leaving the block ends both.

        `timeout`: seconds a call may take, TimeoutError after that.

        Raises:
            ConfigurationError: there is no way to a server.
        """

        # A transport belongs to the running loop, so it has to be made there.
        async def connect() -> api.Client:
            return api.Client.connect(kubeconfig=kubeconfig, context=context, client=client)

        with Portal.start(timeout=timeout) as portal:
            client_on_loop = portal.run(connect)
            with portal.entered(lambda: client_on_loop):
                yield cls(client_on_loop, portal)

    @property
    def namespace(self) -> str | None:
        """Return the namespace of the context, None where it names none."""
        return self._client.namespace

    def kubernetes(self) -> Any:
        """Return an `ApiClient` of `kubernetes` with our credentials, renewed: see `scopedcache.Client.kubernetes`."""

        async def made() -> Any:
            return self._client.kubernetes()

        return self._portal.run(made)

    def call(
        self, helper: Callable[Concatenate[api.Client, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call an `async def` that takes a client first, such as those of `scopedcache.kit`, and wait for it.

            client.call(patch_status, memcached, {"phase": "Ready"})

        Functions among the arguments run on the loop: `read=scope.get` is answered there, what waits is not.
        """
        return self._portal.run(lambda: helper(self._client, *args, **kwargs))

    # -- reads ---------------------------------------------------------------------------------------------------

    @overload
    def get(
        self, kind: Kind, name: str | ObjectKey, *, namespace: str | None = None, subresource: str | None = None
    ) -> Object: ...
    @overload
    def get(
        self,
        kind: Kind,
        name: str | ObjectKey,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        model: type[T],
    ) -> T: ...

    def get(
        self,
        kind: Kind,
        name: str | ObjectKey,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        model: type[T] | None = None,
    ) -> Object | T:
        """Get one object from the server."""
        client = self._client
        obj = self._portal.run(lambda: client.get(kind, name, namespace=namespace, subresource=subresource))
        return obj.to_model(model) if model else obj

    def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        page: int = PAGE_OBJECTS,
    ) -> ObjectList:
        """List from the server; None is all namespaces."""
        client = self._client
        return self._portal.run(lambda: client.list(kind, namespace=namespace, labels=labels, fields=fields, page=page))

    def watch(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: Labels = None,
        fields: str | None = None,
        resource_version: str = "",
        timeout: float | None = None,
    ) -> Iterator[tuple[str, Object]]:
        """Yield (type, object) of one watch until the server ends it; who leaves the loop early closes the generator.

        A portal's time-out counts for each event; `timeout` is what the server is asked for.
        """
        events = self._client.watch(
            kind, namespace=namespace, labels=labels, fields=fields, resource_version=resource_version, timeout=timeout
        )

        async def next_event() -> tuple[str, Object] | None:
            return await anext(events, None)

        with self._portal.entered(lambda: aclosing(events)):
            while (event := self._portal.run(next_event)) is not None:
                yield event

    # -- writes --------------------------------------------------------------------------------------------------

    def create(
        self,
        obj: Object | Mapping[str, Any],
        *,
        namespace: str | None = None,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Create an object."""
        client = self._client
        return self._portal.run(
            lambda: client.create(obj, namespace=namespace, field_manager=field_manager, dry_run=dry_run)
        )

    def update(
        self,
        obj: Object | Mapping[str, Any],
        *,
        kind: Kind | None = None,
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
        dry_run: bool = False,
    ) -> Object:
        """Replace an object, or its `status` or `scale`."""
        client = self._client
        return self._portal.run(
            lambda: client.update(obj, kind=kind, subresource=subresource, field_manager=field_manager, dry_run=dry_run)
        )

    def patch(
        self,
        kind: Kind,
        name: str | ObjectKey,
        patch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        type: PatchType = "merge",
        subresource: str | None = None,
        field_manager: str = FIELD_MANAGER,
        force: bool | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Patch an object."""
        client = self._client
        return self._portal.run(
            lambda: client.patch(
                kind, name, patch, namespace=namespace, type=type, subresource=subresource,
                field_manager=field_manager, force=force, dry_run=dry_run,
            )
        )  # fmt: skip

    def apply(
        self,
        obj: Object | Mapping[str, Any],
        *,
        namespace: str | None = None,
        field_manager: str = FIELD_MANAGER,
        force: bool = True,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Apply an object on the server."""
        client = self._client
        return self._portal.run(
            lambda: client.apply(
                obj, namespace=namespace, field_manager=field_manager, force=force, subresource=subresource,
                dry_run=dry_run,
            )
        )  # fmt: skip

    def delete(
        self,
        kind: Kind | Object,
        name: str | ObjectKey | None = None,
        *,
        namespace: str | None = None,
        propagation: Propagation | None = None,
        uid: str | None = None,
    ) -> Object | None:
        """Delete an object; return it where something holds it, None where it is gone."""
        client = self._client
        return self._portal.run(
            lambda: client.delete(kind, name, namespace=namespace, propagation=propagation, uid=uid)
        )

    def delete_collection(
        self, kind: Kind, *, namespace: str | None = None, labels: Labels = None, fields: str | None = None
    ) -> None:
        """Delete everything that the selectors match."""
        client = self._client
        self._portal.run(lambda: client.delete_collection(kind, namespace=namespace, labels=labels, fields=fields))

    def version(self) -> str:
        """Return the server's version."""
        return self._portal.run(self._client.version)

    # -- rights --------------------------------------------------------------------------------------------------

    def review_access(self, permission: Permission) -> bool:
        """Ask whether we have one right."""
        return self._portal.run(lambda: self._client.review_access(permission))

    def review_rules(self, namespace: str) -> Rules:
        """Ask for all rules that hold for us in a namespace."""
        return self._portal.run(lambda: self._client.review_rules(namespace))

    def __repr__(self) -> str:
        return f"<sync.Client over {self._client!r}>"
