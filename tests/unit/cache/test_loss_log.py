"""A lost right is a warning once, until it is there again."""

import logging

import scopedcache as sc
from scopedcache.api.permission import Permission, permission_of
from scopedcache.cache.loss_log import REMEMBERED_BEYOND_MISSING, LossLog
from scopedcache.event_logger import event_of
from tests.unit.cache.world import world
from tests.unit.clock import after
from tests.unit.cluster import POD


def refusal(namespace="a", verb="list"):
    return sc.ForbiddenError("no", status=403, verb=verb, resource="pods", namespace=namespace)


def test_however_many_owners_lose_a_right_it_is_one_warning():
    log = LossLog()

    levels = [log.level(refusal(), ()) for _ in range(3)]

    assert levels == [logging.WARNING, logging.INFO, logging.INFO]


def test_each_right_is_a_warning_of_its_own():
    log = LossLog()

    levels = [log.level(refusal(namespace, verb), ()) for namespace in "ab" for verb in ("list", "watch")]

    assert levels == [logging.WARNING] * 4


def test_a_right_that_came_back_is_news_when_it_is_lost_again():
    log = LossLog()
    log.level(refusal(), ())
    log.granted(permission_of(refusal()))

    assert log.level(refusal(), ()) == logging.WARNING


def test_what_others_have_warned_of_is_none():
    levels = [LossLog().level(error, ()) for error in (None, sc.UnauthorizedError("x"), sc.UnknownKindError("Pod"))]

    assert levels == [logging.INFO] * 3


def test_what_nobody_needs_any_more_is_not_remembered_for_ever():
    log = LossLog()
    missing = {Permission("list", "", "pods", "kept")}
    log.level(refusal("kept"), missing)
    for number in range(10 * REMEMBERED_BEYOND_MISSING):
        log.level(refusal(f"gone-{number}"), missing)

    assert len(log) <= REMEMBERED_BEYOND_MISSING + 3
    assert log.level(refusal("kept"), missing) == logging.INFO


async def test_many_owners_that_lose_a_right_and_get_it_back_and_lose_it_are_two_warnings(caplog):
    caplog.set_level(logging.INFO)
    async with world() as w:
        owners = [w.owner(name) for name in ("one", "two", "three")]
        for change in range(2):
            grant = w.server.grant("a", POD)
            await after(10)
            if not change:
                for owner in owners:
                    await w.cache.open(owner, POD)
            w.server.revoke(grant)
            await after(10)
        lost = [record for record in caplog.records if event_of(record) == "cache.removed"][:6]

    assert [record.levelname for record in lost] == ["WARNING", "INFO", "INFO"] * 2
    assert lost[0].getMessage().startswith('cache.removed namespace=a owner="Memcached a/one" kinds=Pod verb=list')
