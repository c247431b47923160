"""Sees custom resources come to be, succeed and go, by one watch of the benchmark's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import msgspec
import urllib3

from scopedcache.testing import ControlPlane

_PATH = "/apis/cache.example.com/v1alpha1/memcacheds?watch=1&timeoutSeconds=3600"
_TRIES = 40


class _Condition(msgspec.Struct):
    type: str
    status: str


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    nodes: list[str] | None = None
    conditions: list[_Condition] | None = None


class _Spec(msgspec.Struct):
    size: int


class _Metadata(msgspec.Struct):
    namespace: str
    name: str
    generation: int


class _Memcached(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)

    def size_reached(self) -> int:
        """Return the size that its status reports success for; -1 while it reports none of this generation."""
        seen = self.status
        success = any(one.type == "Successful" and one.status == "True" for one in seen.conditions or ())
        current = seen.observed_generation == self.metadata.generation and len(seen.nodes or ()) == self.spec.size
        return self.spec.size if success and current else -1


class _Event(msgspec.Struct):
    type: str
    object: _Memcached


@attrs.define(eq=False)
class Observer:
    """Who has succeeded with which size, as of the last event."""

    _sizes: dict[tuple[str, str], int] = attrs.field(factory=dict)
    _changed: threading.Condition = attrs.field(factory=threading.Condition)
    _ended: bool = False
    _failure: Exception | None = None

    def wait_all(self, count: int, size: int, timeout: float) -> float:
        """Wait until so many have succeeded with this size; return the time. Raise TimeoutError with what is late."""
        return self._wait(lambda: list(self._sizes.values()).count(size) == count, timeout)

    def wait_none(self, timeout: float) -> float:
        """Wait until none is there; return the time."""
        return self._wait(lambda: not self._sizes, timeout)

    def _wait(self, done: Callable[[], bool], timeout: float) -> float:
        with self._changed:
            in_time = self._changed.wait_for(lambda: done() or self._ended, timeout)
            if self._ended:
                raise RuntimeError("the benchmark's own watch ended") from self._failure
            if not in_time:
                late = sum(size < 0 for size in self._sizes.values())
                raise TimeoutError(f"{len(self._sizes)} are there, {late} of them without success")
            return time.monotonic()

    def follow(self, answer: Any) -> None:
        """Read events until the connection ends."""
        decoder, rest = msgspec.json.Decoder(_Event), b""
        try:
            for piece in answer.stream():
                *lines, rest = (rest + piece).split(b"\n")
                with self._changed:
                    for line in lines:
                        self._take(decoder.decode(line))
                    self._changed.notify_all()
        except Exception as error:
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, event: _Event) -> None:
        key = (event.object.metadata.namespace, event.object.metadata.name)
        if event.type == "DELETED":
            self._sizes.pop(key, None)
        else:
            self._sizes[key] = event.object.size_reached()


@contextmanager
def observing(plane: ControlPlane) -> Iterator[Observer]:
    """Watch all Memcacheds for the length of the block."""
    observer = Observer()
    with urllib3.PoolManager(ca_certs=str(plane.ca_file), retries=False) as pool:
        answer = _open(plane, pool)
        reader = threading.Thread(target=observer.follow, args=(answer,), daemon=True)
        reader.start()
        try:
            yield observer
        finally:
            answer.shutdown()  # `close` would wait for the reader
            reader.join()


def _open(plane: ControlPlane, pool: urllib3.PoolManager) -> Any:
    """Return an open watch. A server that has just read a new CRD answers 429 for a second or two."""
    headers = {"Authorization": f"Bearer {plane.admin.token}"}
    for _ in range(_TRIES):
        answer: Any = pool.request("GET", plane.url + _PATH, headers=headers, preload_content=False, timeout=3600)
        if answer.status == 200:
            return answer
        answer.drain_conn()
        time.sleep(0.5)
    raise RuntimeError(f"the benchmark's own watch is refused with {answer.status}")
