"""What an event costs, in counts: calls, decodes, copies, bytes kept. A slow way that creeps back shows here."""

import asyncio
import sys
from collections import Counter

import pytest

from scopedcache.api.request_info import RequestInfo
from scopedcache.api.watch.event_decoder import EventDecoder
from scopedcache.api.watch.watch_stream import BATCH_EVENTS, EventBatches
from scopedcache.informer.delta import Delta
from scopedcache.informer.event_handlers import EventHandler, change_handler
from scopedcache.informer.indexed_store import IndexedStore
from scopedcache.informer.owner_router import OwnerRouter
from scopedcache.informer.ownership_chain import OwnershipChain
from scopedcache.kinds import GVK, ObjectKey
from scopedcache.objects import Entry, Metadata, Object, OwnerReference
from tests.benchmarks.pods import make_pods
from tests.unit.informer.events import PODS

EVENTS = 4 * BATCH_EVENTS


def lines(version):
    """Return as many events about as many Pods as a server writes them, each with a resource version of its own."""
    found = []
    for number, pod in enumerate(make_pods(EVENTS, 1, 4)):
        head, middle, body, tail = pod.whole
        stamp = b"%d" % (1_700_000_000_000_000_000 + number)
        made = b"%b%d%b%b%b2026-01-01T00:00:00Z%b" % (head, version + number, middle, stamp, body, tail)
        found.append(b'{"type":"MODIFIED","object":%b}\n' % made)
    return b"".join(found)


class Path:
    """The way of an event from a chunk of a watch to a handler."""

    def __init__(self):
        self.told: list[Object] = []
        self.store = IndexedStore(PODS, namespace="default")
        handler = EventHandler(on_add=lambda pod, initial: None, on_update=lambda old, pod: self.told.append(pod))
        self.store.add_handler(change_handler(handler, PODS.gvk, partial=False))
        self._batches = EventBatches(RequestInfo("watch", PODS, "default"), EventDecoder())

    def take(self, chunk):
        self._batches.feed(chunk)
        while events := self._batches.take():
            for _, entry in events:
                self.store.put(entry)


@pytest.fixture
def path():
    made = Path()
    made.take(lines(100_000))
    made.take(lines(200_000))  # what is searched at the beginning of a stream, was
    made.told.clear()
    return made


def calls_of(work):
    """Return how often each function was called, those in Python and those in C apart."""
    python: Counter[str] = Counter()
    c: Counter[str] = Counter()

    def count(frame, event, argument):
        if event == "call":
            python[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            c[argument.__name__] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return python, c


def test_an_event_takes_twelve_calls_in_Python_at_most(path):
    chunk = lines(300_000)

    python, _ = calls_of(lambda: path.take(chunk))

    assert len(path.told) == EVENTS
    assert python.total() <= 12 * EVENTS + 20, python


def test_an_event_is_decoded_once_and_only_its_head(path):
    chunk = lines(300_000)

    _, c = calls_of(lambda: path.take(chunk))

    assert c["decode"] == EVENTS


def test_a_handler_that_reads_the_object_decodes_it_once_more_and_no_other_time(path):
    path.take(lines(300_000))

    _, c = calls_of(lambda: [(pod["spec"], pod.at("status", "phase"), pod.to_dict()) for pod in path.told])

    assert c["decode"] == EVENTS


def test_what_is_kept_of_a_Pod_is_its_bytes_and_little_else(path):
    kept, bytes_of = 0, 0
    path.store.allow_reads()
    for pod in path.store.list():
        bytes_of += len(pod.to_json())
        record = pod.metadata
        own = (record.name, record.uid, record.resource_version, record.creation_timestamp, record)
        kept += sum(map(sys.getsizeof, own)) + sys.getsizeof(pod.to_json())

    assert kept / EVENTS <= bytes_of / EVENTS + 700


async def test_an_event_makes_no_task(path):
    before = len(asyncio.all_tasks())

    path.take(lines(300_000))

    assert len(asyncio.all_tasks()) == before


class Told:
    """An owner that counts what it hears."""

    def __init__(self, number: int) -> None:
        self.uid = "one"
        self.key = ObjectKey(f"namespace-{number}", "owner")
        self.changes = 0

    def concerned(self, gvk: GVK, delta: Delta, initial: bool) -> None:
        self.changes += 1


def test_one_owner_in_many_namespaces_is_told_with_two_calls_for_each():
    router = OwnerRouter(PODS.gvk, OwnershipChain())
    owners = [Told(number) for number in range(1000)]
    for owner in owners:
        router.add(owner)
    reference = OwnerReference("example.com/v1", "Widget", "owner", "one")
    old, new = (Entry(Metadata("a", "b", "c", version, owner_references=(reference,)), b"") for version in "12")

    python, _ = calls_of(lambda: router.route(Delta(old, new), False))

    assert sum(owner.changes for owner in owners) == len(owners)
    assert python.total() <= 2 * len(owners) + 20, python


def test_an_event_whose_labels_and_owners_are_not_remembered_costs_no_index_and_shares_what_was_held(path):
    def entries(version):
        reader = EventDecoder()  # another one each time, which remembers nothing
        return [reader.read((line, 0, len(line)))[1] for line in lines(version).splitlines()]

    first, then = entries(300_000), entries(400_000)
    for entry in first:
        path.store.put(entry)

    python, _ = calls_of(lambda: [path.store.put(entry) for entry in then])

    assert not [name for name in python if name.startswith(("_Index.", "_owner_uids"))]
    held = [(entry.metadata.labels, entry.metadata.owner_references) for entry in first]
    assert all(
        entry.metadata.labels is labels and entry.metadata.owner_references is owners
        for entry, (labels, owners) in zip(then, held, strict=True)
    )
