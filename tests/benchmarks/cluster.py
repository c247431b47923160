"""What the load server stores: Pods, their versions, every event since its start. It knows no socket and no clock.

Events are kept as (Pod, stamp) and rendered when a watch wants them: 50,000 of them cost under a megabyte.
"""

from array import array
from collections.abc import Iterator

from tests.benchmarks.pods import FIRST_VERSION, STARTED, PodTemplate, make_pods

BATCH_LINES = 16
"""Events rendered per piece of a stream: large enough to be cheap, small enough for the flow control to be prompt."""

_STRIDE = 7919
"""Events visit the Pods in steps of this prime, so that neighbours in memory are not neighbours in time."""

_END_OF_INITIAL_EVENTS = b'"annotations":{"k8s.io/initial-events-end":"true"},'


class Cluster:
    """Pods in one or more namespaces, and the log of their changes."""

    def __init__(self, pods: int, namespaces: int, owners: int) -> None:
        self.pods: list[PodTemplate] = make_pods(pods, namespaces, owners)
        self.log_pods = array("L")
        self.log_stamps = array("Q")
        self._versions = array("L", range(FIRST_VERSION + 1, FIRST_VERSION + 1 + pods))
        self._stamps = array("Q", [1_700_000_000_000_000_000]) * pods
        self._first_event = FIRST_VERSION + 1 + pods
        self._by_namespace: dict[str, range] = {
            pod.namespace: range(number, pods, namespaces) for number, pod in enumerate(self.pods[:namespaces])
        }
        self._by_name = {(pod.namespace, pod.name): number for number, pod in enumerate(self.pods)}

    @property
    def version(self) -> int:
        """The version of the newest change."""
        return self._first_event + len(self.log_pods) - 1

    def change(self, count: int, stamp: int) -> None:
        """Modify the next `count` Pods; `stamp` is when (ns since 1970)."""
        start, total = len(self.log_pods), len(self.pods)
        for event in range(start, start + count):
            pod = event * _STRIDE % total
            self.log_pods.append(pod)
            self._versions[pod] = self._first_event + event
            self._stamps[pod] = stamp
        self.log_stamps.extend([stamp] * count)

    def versions(self) -> dict[str, str]:
        """Return {uid: resourceVersion} of every Pod: what a cache has to hold."""
        return {pod.uid: str(version) for pod, version in zip(self.pods, self._versions, strict=True)}

    def find(self, namespace: str, name: str) -> bytes | None:
        """Return one Pod as it is now."""
        number = self._by_name.get((namespace, name))
        return (
            None if number is None else _object(self.pods[number].whole, self._versions[number], self._stamps[number])
        )

    def members(self, namespace: str | None) -> range:
        """Return the numbers of the Pods in the namespace, or of all."""
        return range(len(self.pods)) if namespace is None else self._by_namespace.get(namespace, range(0))

    def render_list(self, members: range, start: int, limit: int | None) -> Iterator[bytes]:
        """Render a PodList in pieces of a few objects; a page of it when there is a limit."""
        page = members[start : None if limit is None else start + limit]
        left = len(members) - start - len(page)
        more = b',"continue":"%d","remainingItemCount":%d' % (start + len(page), left) if left else b""
        yield b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"%b},"items":[' % (
            self.version,
            more,
        )
        for first in range(0, len(page), BATCH_LINES):
            comma = b"," if first else b""
            yield comma + b",".join(
                [
                    _object(self.pods[n].item, self._versions[n], self._stamps[n])
                    for n in page[first : first + BATCH_LINES]
                ]
            )
        yield b"]}\n"

    def render_added(self, members: range) -> Iterator[list[bytes]]:
        """Render every Pod as an ADDED event: one chunk of HTTP each."""
        for first in range(0, len(members), BATCH_LINES):
            batch = members[first : first + BATCH_LINES]
            yield [_chunk(b"ADDED", self.pods[n], self._versions[n], self._stamps[n]) for n in batch]

    def render_events(self, members: range, after: int) -> Iterator[list[bytes]]:
        """Render what changed after the version, a batch at a time; an empty batch means: nothing more just now."""
        position = max(0, after + 1 - self._first_event)
        while True:
            batch: list[bytes] = []
            while position < len(self.log_pods) and len(batch) < BATCH_LINES:
                if self.log_pods[position] in members:
                    batch.append(self._event(position))
                position += 1
            yield batch

    def render_bookmark(self, *, initial_events_end: bool) -> bytes:
        """Render a BOOKMARK at the newest version as one chunk of HTTP."""
        end = _END_OF_INITIAL_EVENTS if initial_events_end else b""
        line = b'{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{%b' % end
        line += b'"resourceVersion":"%d","creationTimestamp":null},"spec":{"containers":null},"status":{}}}\n'
        line %= self.version
        return b"%x\r\n%b\r\n" % (len(line), line)

    def _event(self, event: int) -> bytes:
        pod = self.pods[self.log_pods[event]]
        return _chunk(b"MODIFIED", pod, self._first_event + event, self.log_stamps[event])


def _chunk(kind: bytes, pod: PodTemplate, version: int, stamp: int) -> bytes:
    head, middle, body, tail = pod.whole
    size = len(kind) + pod.size + len(b'{"type":"","object":}\n')
    return b'%x\r\n{"type":"%b","object":%b%d%b%d%b%b%b}\n\r\n' % (
        size, kind, head, version, middle, stamp, body, STARTED[version % 3600], tail,
    )  # fmt: skip


def _object(parts: tuple[bytes, bytes, bytes, bytes], version: int, stamp: int) -> bytes:
    head, middle, body, tail = parts
    return b"%b%d%b%d%b%b%b" % (head, version, middle, stamp, body, STARTED[version % 3600], tail)
