"""Things of a pool: each to one at a time, whatever the record says, and whoever is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedcache import ConflictError, Object, ObjectKey
from scopedcache.kit import allocate, claims_of
from scopedcache.kit.allocation import CONFIG_MAP, assign

NAMES = st.sampled_from([ObjectKey(namespace, name) for namespace in "ab" for name in "xyz"])
POOL = st.lists(st.sampled_from("1234"))
RECORD = ObjectKey("a", "claims")
A, B, C = (ObjectKey("app", name) for name in "abc")


@pytest.fixture
def read(server):
    def look(kind, key):
        found = server.embedded.get("configmaps", key.name, key.namespace)
        return None if found is None else Object.from_dict(found)

    return look


@given(POOL, st.dictionaries(NAMES, st.sampled_from("123456")), st.lists(NAMES, unique=True))
def test_no_two_have_the_same_and_all_of_it_is_of_the_pool(pool, claims, wanted):
    answer = assign(pool, claims, wanted)

    assert len(set(answer.values())) == len(answer)
    assert set(answer.values()) <= set(pool)
    assert set(answer) <= set(wanted)


@given(POOL, st.dictionaries(NAMES, st.sampled_from("123456")), st.lists(NAMES, unique=True))
def test_nothing_is_left_while_somebody_waits(pool, claims, wanted):
    answer = assign(pool, claims, wanted)

    assert len(answer) == min(len(set(pool)), len(wanted))


@given(POOL, st.lists(NAMES, unique=True), st.lists(NAMES, unique=True))
def test_who_has_something_keeps_it_whoever_comes_later(pool, first, later):
    before = assign(pool, {}, first)
    after = assign(pool, before, [*later, *(who for who in before if who not in later)])

    assert {who: after[who] for who in before} == before


async def test_what_is_given_is_written_down(client, read):
    answer = await allocate(client, RECORD, ["1", "2"], [A, B, C], read=read)

    assert answer == {A: "1", B: "2"}
    assert claims_of(read(CONFIG_MAP, RECORD)) == answer


async def test_what_is_right_sends_nothing(client, read, server):
    await allocate(client, RECORD, ["1", "2"], [A, B], read=read)
    mark = server.embedded.audit.mark()
    await allocate(client, RECORD, ["1", "2"], [B, A], read=read)

    assert server.embedded.audit.requests(mark, resource="configmaps", verb="update") == []


async def test_who_is_not_seen_keeps_what_it_has(client, read):
    await allocate(client, RECORD, ["1", "2"], [A, B], read=read)
    answer = await allocate(client, RECORD, ["1", "2"], [C], read=read, keep=lambda who: who == A)

    assert answer == {A: "1", C: "2"}


async def test_nobody_loses_or_gets_anything_while_the_pool_is_not_known(client, read):
    await allocate(client, RECORD, ["1"], [A], read=read)
    answer = await allocate(client, RECORD, None, [A, B], read=read)

    assert answer == {A: "1"}


async def test_of_two_writers_one_is_refused(client, read):
    await allocate(client, RECORD, ["1", "2"], [A], read=read)
    stale = read(CONFIG_MAP, RECORD)
    await allocate(client, RECORD, ["1", "2"], [A, B], read=read)

    with pytest.raises(ConflictError):
        await allocate(client, RECORD, ["1", "2"], [A, C], read=lambda kind, key: stale)
