"""A reconciler that notes its runs, and a controller that runs it for the length of a block."""

import asyncio
import itertools
from contextlib import asynccontextmanager

from scopedcache.controller.controller import Controller
from scopedcache.errors import ForbiddenError
from scopedcache.metrics import Counters
from tests.unit.cluster import MEMCACHED

DENIED = ForbiddenError(verb="create", resource="deployments.apps", namespace="a", by="authorizer")


class Reconciler:
    """Notes each run as (second, key). `answers` are returned, or raised, in turn; the last one stays."""

    def __init__(self, *answers, takes=0.0):
        self.answers = list(answers) or [None]
        self.takes = takes
        self.runs = []
        self.running = 0
        self.most_at_once = 0

    async def reconcile(self, request):
        self.runs.append((asyncio.get_running_loop().time(), str(request)))
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.running -= 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def keys(self):
        return [key for _, key in self.runs]

    @property
    def times(self):
        return [time for time, _ in self.runs]

    @property
    def pauses(self):
        return [later - earlier for earlier, later in itertools.pairwise(self.times)]


@asynccontextmanager
async def running(w, reconciler, *, counters=None, **options):
    controller = Controller(for_=MEMCACHED.gvk, reconcile=reconciler, **options)
    task = asyncio.create_task(controller.run(w.cache, instrumentation=counters or Counters()))
    await asyncio.sleep(1)
    yield controller
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
