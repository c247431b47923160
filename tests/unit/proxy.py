"""What stands between a client and the embedded cluster where a test needs what the cluster itself does not play.

An authorisation webhook, an API server that has no streaming lists yet, an answer that comes late. Everything else is
handed on as it is.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from scopedcache.api.transport import Query, Response, Stream, Transport
from tests.unit.informer.fake_transport import JSON, bytes_of, status

_REVIEWS = "/apis/authorization.k8s.io/"


class Proxy:
    """A transport over another one.

    Attributes:
        hides_rules: rules reviews show nothing and say that they are incomplete, as where a webhook decides alone.
        denies: resources that a webhook denies whatever RBAC says; rules reviews are incomplete then.
        streaming_lists: the server has them.
        defect: what every request raises, although no transport may.
        hides_verbs: by resource of the core group, the verbs that discovery does not name.
        late: writes are done at once, and answered when this is set.
    """

    def __init__(self, way: Transport) -> None:
        self._way = way
        self.hides_rules = False
        self.denies: set[str] = set()
        self.streaming_lists = True
        self.defect: Exception | None = None
        self.hides_verbs: dict[str, set[str]] = {}
        self.late: asyncio.Event | None = None

    async def request(
        self, method: str, path: str, query: Query = (), *, body: bytes | None = None, **about: Any
    ) -> Response:
        if self.defect is not None:
            raise self.defect
        is_review = path.startswith(_REVIEWS)
        if not is_review and self.denies.intersection(path.split("/")):
            return Response(403, JSON, {}, bytes_of(status(403, "Forbidden", "denied by the webhook")))
        answer = await self._way.request(method, path, query, body=body, **about)
        if path == "/api/v1" and self.hides_verbs:
            return self._without_verbs(answer)
        if is_review:
            return self._reviewed(answer) if answer.status == 201 else answer
        if method != "GET" and self.late is not None:
            await self.late.wait()
        return answer

    def _without_verbs(self, answer: Response) -> Response:
        document = json.loads(answer.body)
        for one in document["resources"]:
            one["verbs"] = [verb for verb in one["verbs"] if verb not in self.hides_verbs.get(one["name"], ())]
        return Response(answer.status, answer.content_type, answer.headers, bytes_of(document))

    def stream(self, path: str, query: Query = (), **about: Any) -> AbstractAsyncContextManager[Stream]:
        if not self.streaming_lists and ("sendInitialEvents", "true") in query:
            # Without this option the cluster refuses it as invalid, which is what an older server says of it.
            query = [option for option in query if option[0] != "resourceVersionMatch"]
        return self._way.stream(path, query, **about)

    async def close(self) -> None:
        await self._way.close()

    def _reviewed(self, answer: Response) -> Response:
        try:
            review = json.loads(answer.body)
        except ValueError:  # a fault's
            return answer
        said = review["status"]
        if "allowed" in said:
            said["allowed"] &= review["spec"].get("resourceAttributes", {}).get("resource") not in self.denies
        elif self.hides_rules or self.denies:
            said["incomplete"] = True
            said["resourceRules"] = None if self.hides_rules else said["resourceRules"]
        return Response(answer.status, answer.content_type, answer.headers, json.dumps(review).encode())
