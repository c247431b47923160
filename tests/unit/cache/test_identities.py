"""An identity per owner: what is seen, reviewed and written for an owner is so as somebody else, and stays apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from scopedcache import (
    As,
    Client,
    ForbiddenError,
    Need,
    NotSyncedError,
    Object,
    ObjectKey,
    OwnerChanged,
    OwnerId,
    ScopeClosedError,
    ScopedCache,
    ServiceAccount,
)
from scopedcache.kinds import Resource
from scopedcache.testing import Grant, eventually
from tests.unit.clock import idle, now
from tests.unit.cluster import CONFIG_MAP, MEMCACHED, OPERATOR, POD, READ, Cluster, manifest

ALL = ("get", "list", "watch", "create", "update", "patch", "delete")
BUILDER = "system:serviceaccount:team:builder"


@attrs.define
class World:
    """A running cache that serves each owner as the one its annotation `creator` names."""

    server: Cluster
    client: Client
    cache: ScopedCache
    told: list[tuple[float, OwnerChanged]]

    def owner(self, creator: str = "", name: str = "m", namespace: str = "a") -> Object:
        return self.server.put(MEMCACHED, name, namespace, annotations={"creator": creator})

    def grant(self, user: str, namespace: str | None, *kinds: Resource, verbs: Iterable[str] = READ) -> Grant:
        """Give somebody rights."""
        if namespace is not None:
            self.server.embedded.create_namespace(namespace)
        who = self.server.embedded.user(user)
        return self.server.embedded.grant(who, verbs, [str(kind) for kind in kinds], namespace=namespace)

    def may_impersonate(self, resource: str, *names: str, namespace: str | None = None) -> Grant:
        """Let the operator act as somebody."""
        embedded = self.server.embedded
        if namespace is not None:
            embedded.create_namespace(namespace)
        return embedded.grant(self.server.operator, ["impersonate"], [resource], namespace=namespace, names=names)

    def causes(self, owner: Object) -> list[str]:
        return [change.cause for _, change in self.told if change.uid == owner.uid]

    def watching(self, kind: Resource = POD) -> list[str]:
        """Return as whom a kind is watched now."""
        return sorted(watch.user for watch in self.server.embedded.audit.open_watches(resource=str(kind)))

    async def is_denied(self, scope: Any, kind: Resource = POD) -> ForbiddenError:
        """Let time pass until a scope shows nothing any more; return why."""

        def look() -> ForbiddenError | None:
            try:
                scope.list(kind)
            except ForbiddenError as error:
                return error
            return None

        await eventually(lambda: look() is not None, within=60.0)
        error = look()
        assert error is not None
        return error


def creator_of(owner: Object) -> As | ServiceAccount | None:
    name = (owner.annotations or {}).get("creator", "")
    if name.startswith("account:"):
        namespace, _, account = name.removeprefix("account:").partition("/")
        return ServiceAccount(namespace, account)
    user, *groups = name.split("+")
    return As(user, groups=groups) if user else None


@asynccontextmanager
async def world(*, impersonates: bool = True, **options: Any) -> AsyncIterator[World]:
    with Cluster.running() as server:
        clock: dict[str, Any] = {"timer": asyncio.get_running_loop().time, "chance": lambda: 0.5}
        options = {"identity": creator_of, "rbac_watch": False} | options
        async with server.client() as client, ScopedCache(client, **clock | options) as cache:
            told: list[tuple[float, OwnerChanged]] = []
            cache.subscribe(lambda change: told.append((now(), change)))
            here = World(server, client, cache, told)
            if impersonates:
                here.may_impersonate("users")
            yield here
        await idle()


async def test_what_an_owner_opens_is_listed_watched_and_reviewed_as_its_identity() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        owner = here.owner("alice")
        here.server.put(POD, "p", "a", owner=owner)
        scope = await here.cache.open(owner, POD)
        assert [pod.name for pod in scope.list(POD)] == ["p"]
        asked = here.server.embedded.audit.requests(user=OPERATOR)
        assert {one.resource for one in asked if one.verb in READ} == set()
        assert here.watching() == ["alice"]


async def test_owners_of_one_identity_share_an_informer_and_others_have_their_own() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        here.grant("bob", "a", POD)
        for name, creator in (("one", "alice"), ("two", "alice"), ("three", "bob")):
            await here.cache.open(here.owner(creator, name), POD)
        assert here.watching() == ["alice", "bob"]


async def test_what_one_identity_may_see_another_is_refused_and_the_refusal_names_it() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        await here.cache.open(here.owner("alice", "one"), POD)
        with pytest.raises(ForbiddenError, match="may not list pods in namespace a as bob") as refused:
            await here.cache.open(here.owner("bob", "two"), POD)
        assert refused.value.identity == As("bob")
        assert here.watching() == ["alice"]


async def test_revoking_the_right_of_one_identity_closes_its_scopes_and_no_others() -> None:
    async with world() as here:
        alices = here.grant("alice", "a", POD)
        here.grant("bob", "a", POD)
        one, two = here.owner("alice", "one"), here.owner("bob", "two")
        scope_one, scope_two = await here.cache.open(one, POD), await here.cache.open(two, POD)
        alices.revoke()
        error = await here.is_denied(scope_one)
        assert error.identity == As("alice")
        assert scope_two.list(POD) == []
        assert (here.causes(one), here.causes(two)) == (["denied"], [])
        await eventually(lambda: here.watching() == ["bob"])


async def test_a_right_that_comes_back_opens_the_scopes_of_its_identity_again() -> None:
    async with world() as here:
        grant = here.grant("alice", "a", POD)
        owner = here.owner("alice")
        scope = await here.cache.open(owner, POD)
        grant.revoke()
        await here.is_denied(scope)
        grant.restore()
        await eventually(lambda: "granted" in here.causes(owner), within=60.0)
        assert (await here.cache.open(owner, POD)).list(POD) == []


async def test_a_user_whom_we_may_not_impersonate_is_named_by_the_right_that_is_missing() -> None:
    async with world(impersonates=False) as here:
        here.grant("alice", "a", POD)
        owner = here.owner("alice")
        with pytest.raises(ForbiddenError, match='may not impersonate users "alice" at the cluster scope') as refused:
            await here.cache.open(owner, POD)
        assert refused.value.identity is None
        here.may_impersonate("users", "alice")
        await eventually(lambda: "granted" in here.causes(owner), within=60.0)
        assert (await here.cache.open(owner, POD)).list(POD) == []


async def test_the_right_to_impersonate_that_is_revoked_closes_what_was_seen_by_it() -> None:
    async with world(impersonates=False) as here:
        as_alice, _ = here.may_impersonate("users", "alice"), here.may_impersonate("users", "bob")
        here.grant("alice", "a", POD)
        here.grant("bob", "a", POD)
        scope_one = await here.cache.open(here.owner("alice", "one"), POD)
        scope_two = await here.cache.open(here.owner("bob", "two"), POD)
        as_alice.revoke()
        error = await here.is_denied(scope_one)
        assert (error.verb, error.resource, error.name) == ("impersonate", "users", "alice")
        assert scope_two.list(POD) == []


async def test_the_name_of_a_service_account_takes_the_right_to_impersonate_service_accounts() -> None:
    async with world() as here:  # users alone are not enough
        here.grant(BUILDER, "a", POD)
        owner = here.owner(BUILDER)
        with pytest.raises(ForbiddenError, match='may not impersonate serviceaccounts "builder" in namespace team'):
            await here.cache.open(owner, POD)
        here.may_impersonate("serviceaccounts", "builder", namespace="team")
        await eventually(lambda: "granted" in here.causes(owner), within=60.0)
        assert here.watching() == [BUILDER]


async def test_each_group_takes_a_right_of_its_own() -> None:
    async with world() as here:
        with pytest.raises(ForbiddenError, match='may not impersonate groups "dev" at the cluster scope'):
            await here.cache.open(here.owner("alice+dev"), POD)


async def test_a_service_account_is_served_by_a_token_that_the_server_gives() -> None:
    async with world(impersonates=False) as here:
        account = here.server.embedded.service_account("team", "builder")
        here.server.embedded.grant(account, READ, ["pods"], namespace="a") if here.owner() else None
        owner = here.owner("account:team/builder", "sa")
        with pytest.raises(ForbiddenError, match='may not create serviceaccounts/token "builder" in namespace team'):
            await here.cache.open(owner, POD)
        here.server.embedded.grant(here.server.operator, ["create"], ["serviceaccounts/token"], namespace="team")
        await eventually(lambda: "granted" in here.causes(owner), within=60.0)
        assert here.watching() == [BUILDER]


async def test_a_token_is_renewed_before_it_ends() -> None:
    async with world(impersonates=False) as here:
        account = here.server.embedded.service_account("team", "builder")
        owner = here.owner("account:team/builder", "sa")
        here.server.embedded.grant(account, READ, ["pods"], namespace="a")
        here.server.embedded.grant(here.server.operator, ["create"], ["serviceaccounts/token"], namespace="team")
        scope = await here.cache.open(owner, POD)
        await asyncio.sleep(2 * 3600.0)
        here.server.put(POD, "late", "a")
        await eventually(lambda: scope.list(POD))
        assert here.causes(owner) == []


async def test_a_service_account_that_is_not_there_is_named_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world(impersonates=False) as here:
        here.server.embedded.create_namespace("team")
        here.server.embedded.grant(here.server.operator, ["create"], ["serviceaccounts/token"], namespace="team")
        owner = here.owner("account:team/nobody")
        with caplog.at_level(logging.WARNING), pytest.raises(NotSyncedError):
            await here.cache.open(owner, POD)
        said = [record for record in caplog.records if record.getMessage().startswith("identity.no_token")]
        assert [record.__dict__["identity"] for record in said] == ["system:serviceaccount:team:nobody"]
        account = here.server.embedded.service_account("team", "nobody")
        here.server.embedded.grant(account, READ, ["pods"], namespace="a")
        await eventually(lambda: {"synced", "granted"} & set(here.causes(owner)), within=120.0)


async def test_a_token_that_is_refused_for_the_same_reason_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with world(impersonates=False) as here:
        here.server.embedded.service_account("team", "builder")
        owner = here.owner("account:team/builder")
        with pytest.raises(ForbiddenError):
            await here.cache.open(owner, POD)
        await asyncio.sleep(120.0)
    said = [record for record in caplog.records if record.getMessage().startswith("identity.no_token")]
    assert len(said) == 1


async def test_a_need_that_opts_out_is_seen_as_the_programs_own_user() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        here.server.grant("a", CONFIG_MAP)
        scope = await here.cache.open(here.owner("alice"), POD, Need(CONFIG_MAP, identity=None))
        assert (scope.list(POD), len(scope.list(CONFIG_MAP))) == ([], len(here.server.names(CONFIG_MAP, "a")))
        assert (here.watching(POD), here.watching(CONFIG_MAP)) == (["alice"], [OPERATOR])


async def test_the_client_of_a_scope_writes_as_its_identity_and_its_cache_sees_the_write_at_once() -> None:
    async with world() as here:
        here.grant("alice", "a", CONFIG_MAP, verbs=ALL)
        here.grant("bob", "a", CONFIG_MAP)
        scope = await here.cache.open(here.owner("alice", "one"), CONFIG_MAP)
        await scope.client.create(manifest(CONFIG_MAP, "c", "a"))
        assert scope.get(CONFIG_MAP, ObjectKey("a", "c")) is not None
        scope_two = await here.cache.open(here.owner("bob", "two"), CONFIG_MAP)
        with pytest.raises(ForbiddenError, match="as bob") as refused:
            await scope_two.client.create(manifest(CONFIG_MAP, "d", "a"))
        assert (refused.value.by, refused.value.identity) == ("authorizer", As("bob"))


async def test_whoever_was_refused_a_write_is_told_once_its_identity_may() -> None:
    async with world() as here:
        here.grant("bob", "a", CONFIG_MAP)
        owner = here.owner("bob")
        scope = await here.cache.open(owner, CONFIG_MAP)
        with pytest.raises(ForbiddenError) as refused:
            await scope.client.create(manifest(CONFIG_MAP, "d", "a"))
        here.cache.await_grant(owner, refused.value)
        here.server.grant("a", CONFIG_MAP, verbs=ALL)  # the operator's own right is another one
        await asyncio.sleep(30.0)
        assert here.causes(owner) == []
        here.grant("bob", "a", CONFIG_MAP, verbs=ALL)
        await eventually(lambda: here.causes(owner) == ["granted"], within=60.0)


async def test_the_client_of_a_scope_that_is_closed_is_not_handed_out() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        owner = here.owner("alice")
        scope = await here.cache.open(owner, POD)
        here.cache.close(owner)
        with pytest.raises(ScopeClosedError):
            _ = scope.client


async def test_no_event_of_one_identity_reaches_the_owner_of_another() -> None:
    async with world() as here:
        here.grant("alice", "a", CONFIG_MAP)
        here.grant("bob", "a", POD)
        one, two = here.owner("alice", "one"), here.owner("bob", "two")
        await here.cache.open(one, CONFIG_MAP)
        await here.cache.open(two, POD)
        # Alice's owner owns a ConfigMap, which owns a Pod that Bob alone may see.
        middle = here.server.put(CONFIG_MAP, "middle", "a", owner=one)
        await eventually(lambda: here.causes(one) == ["child"])
        here.server.put(POD, "p", "a", owner=middle)
        await asyncio.sleep(5.0)
        assert (here.causes(one), here.causes(two)) == (["child"], [])


async def test_an_index_shows_each_identity_its_own_objects_alone() -> None:
    async with world() as here:
        here.cache.add_index(POD, "by-name", lambda pod: [pod.name])
        here.grant("alice", "a", POD)
        here.grant("bob", "b", POD)
        one, two = here.owner("alice", "one"), here.owner("bob", "two")
        here.server.put(POD, "p", "a")
        here.server.put(POD, "p", "b")
        scope_one = await here.cache.open(one, POD)
        scope_two = await here.cache.open(two, POD, namespace="b")
        assert [pod.namespace for pod in scope_one.by_index(POD, "by-name", "p")] == ["a"]
        assert [pod.namespace for pod in scope_two.by_index(POD, "by-name", "p")] == ["b"]


async def test_what_the_program_sees_in_the_whole_cluster_serves_no_identity() -> None:
    async with world(cluster_wide=[POD.gvk]) as here:
        here.server.grant(None, POD)
        here.grant("alice", "a", POD)
        async with here.cache.informer(POD.gvk) as everywhere:
            await everywhere.wait_synced()
            here.server.put(POD, "p", "a")
            with pytest.raises(ForbiddenError, match="may not list pods at the cluster scope as alice"):
                await here.cache.open(here.owner("alice"), POD)
            assert here.watching() == [OPERATOR]


async def test_a_wider_informer_of_somebody_else_serves_no_need_by_name() -> None:
    async with world() as here:
        here.server.grant("a", POD)
        here.grant("bob", "a", POD)
        here.server.put(POD, "secret", "a")
        await here.cache.open(here.owner("", "programs"), POD)
        await here.cache.open(here.owner("bob", "bobs"), POD)
        for need in (Need(POD, name="secret"), Need(POD, metadata_only=True), Need(POD, optional=True)):
            owner = here.owner("alice", "alices")
            with pytest.raises(ForbiddenError) as refused:
                (await here.cache.open(owner, need)).list(POD)
            assert refused.value.identity == As("alice")
            here.cache.close(owner)


async def test_a_write_of_one_identity_is_not_shown_to_another_that_may_not_see_it() -> None:
    async with world() as here:
        here.grant("alice", "a", CONFIG_MAP, verbs=ALL)
        bobs = here.grant("bob", "a", CONFIG_MAP)
        one, two = here.owner("alice", "one"), here.owner("bob", "two")
        scope_one, scope_two = await here.cache.open(one, CONFIG_MAP), await here.cache.open(two, CONFIG_MAP)
        bobs.revoke()
        await here.is_denied(scope_two, CONFIG_MAP)
        here.told.clear()
        await scope_one.client.create(manifest(CONFIG_MAP, "hers", "a"))
        await asyncio.sleep(5.0)
        with pytest.raises(ForbiddenError):
            scope_two.get(CONFIG_MAP, ObjectKey("a", "hers"))
        assert here.causes(two) == []


async def test_opening_in_many_places_and_in_the_whole_cluster_is_done_as_the_owner_s_identity() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        here.grant("bob", "b", POD)
        here.grant("bob", None, CONFIG_MAP)
        owner = here.owner("alice", "one")
        found = await here.cache.open_all(owner, POD, namespaces=["a", "b"])
        assert isinstance(found["b"], ForbiddenError)
        assert found["b"].identity == As("alice")
        with pytest.raises(ForbiddenError, match="at the cluster scope as alice"):
            await here.cache.cluster.open(owner, CONFIG_MAP)
        assert (here.watching(POD), here.watching(CONFIG_MAP)) == (["alice"], [])


async def test_no_log_line_about_one_identity_names_another(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="scopedcache"):
        async with world() as here:
            alices = here.grant("alice", "a", POD)
            here.grant("bob", "a", POD)
            one, two = here.owner("alice", "one"), here.owner("bob", "two")
            scope, _ = await here.cache.open(one, POD), await here.cache.open(two, POD)
            alices.revoke()
            await here.is_denied(scope)
    about = [{key: str(value) for key, value in record.__dict__.items()} for record in caplog.records]
    of_alice = [fields for fields in about if fields.get("identity") == "alice" or fields.get("uid") == one.uid]
    assert of_alice
    assert not [fields for fields in of_alice if "bob" in str(fields) or two.uid in str(fields)]


async def test_an_owner_whose_identity_changes_begins_anew_as_the_other() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        here.grant("bob", "a", POD)
        scope = await here.cache.open(here.owner("alice"), POD)
        await here.cache.open(here.owner("bob"), POD)
        with pytest.raises(ScopeClosedError):
            scope.list(POD)
        await eventually(lambda: here.watching() == ["bob"])


async def test_an_owner_id_alone_does_not_tell_as_whom_an_owner_is_served() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        owner = here.owner("alice")
        with pytest.raises(ValueError, match="open with that, not with its OwnerId"):
            await here.cache.open(OwnerId.of(owner), POD)
        await here.cache.open(owner, POD)
        await here.cache.open(OwnerId.of(owner), POD)
        assert here.watching() == ["alice"]


async def test_what_is_no_identity_is_refused_in_words() -> None:
    async with world(identity=lambda owner: "alice") as here:
        with pytest.raises(TypeError, match="identity= returned 'alice' for Memcached a/m"):
            await here.cache.open(here.owner(), POD)


async def test_nothing_of_an_identity_is_left_when_its_last_scope_is_closed() -> None:
    async with world() as here:
        here.grant("alice", "a", POD)
        before = here.cache.snapshot()
        owner = here.owner("alice")
        await here.cache.open(owner, POD)
        here.cache.close(owner)
        await here.cache.wait_closed()
        await idle()
        shot = here.cache.snapshot()
        assert (shot.tasks, shot.informers, shot.open_watches) == (before.tasks, [], 0)
        assert not here.cache.monitor.verdicts
        assert here.watching() == []


async def test_the_bound_counts_the_places_of_all_identities() -> None:
    async with world(review_rate=2.0) as here:
        for number in range(30):
            here.grant(f"user-{number}", "a", POD)
            await here.cache.open(here.owner(f"user-{number}", f"m-{number}"), POD)
        assert here.cache.bound > 1.1 * 30 / 2.0
