"""Caches may begin at the same moment, each on a loop in its own thread: nothing is learned too late for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Everything that is decoded at all, for the first time in this process, in many threads at once.
PROGRAM = """
import sys, threading
import msgspec, attrs
from scopedcache import Object
from scopedcache.api import access_reviews, codec, discovery

class Spec(msgspec.Struct):
    size: int = 0

class Struct(msgspec.Struct):
    spec: Spec | None = None

@attrs.define
class Attrs:
    spec: Spec | None = None

POD = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","ownerReferences":[{"kind":"b","name":"c","uid":"d"}]}}'
RULE = b'{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}'
FIRST = {
    "rules": lambda: access_reviews.read_rules_review(b'{"status":{"resourceRules":[' + RULE + b']}}'),
    "allowed": lambda: access_reviews.read_access_review(b'{"status":{"allowed":true}}'),
    "group": lambda: discovery._group(b'{"versions":[{"groupVersion":"a/v1","version":"v1"}]}'),
    "resources": lambda: discovery._resource_list(b'{"resources":[]}'),
    "page": lambda: codec.decode_page(b'{"kind":"PodList","metadata":{},"items":[' + POD + b']}'),
    "object": lambda: codec.decode_object(POD),
    "dict": lambda: Object.from_dict({"kind": "Pod", "metadata": {"name": "a", "labels": {"b": "c"}}}),
    "model of bytes": lambda: Object(*parts).to_model(Struct),
    "model of a dict": lambda: Object.from_dict({"metadata": {"name": "a"}, "spec": {"size": 1}}).to_model(Attrs),
}[sys.argv[1]]
if sys.argv[1] == "model of bytes":
    entry, gvk = codec.decode_object(POD)
    parts = entry.metadata, entry.raw, gvk
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)

def work():
    together.wait()
    FIRST()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
FIRST = ["rules", "allowed", "group", "resources", "page", "object", "dict", "model of bytes", "model of a dict"]


@pytest.mark.parametrize("what", FIRST)
def test_what_is_decoded_first_in_many_threads_at_once_does_not_end_the_process(what: str) -> None:
    for _ in range(3):  # without a Decoder made beforehand most runs end by a segmentation fault
        done = subprocess.run([sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
