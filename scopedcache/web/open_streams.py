"""The answers that a server passes on at the moment: watches among them would hold its end for minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import ClientResponse, web


class OpenStreams:
    """What is to end when the server does."""

    def __init__(self) -> None:
        self._open: set[ClientResponse] = set()

    @contextmanager
    def opened(self, answer: ClientResponse) -> Iterator[None]:
        """Hold an answer for as long as it is passed on."""
        self._open.add(answer)
        try:
            yield
        finally:
            self._open.discard(answer)

    def end_watches(self) -> None:
        """End those that have no length: as after a time-out of the API server, their readers ask again."""
        for answer in self._open:
            if "Content-Length" not in answer.headers:
                answer.content.feed_eof()


OPEN_STREAMS: Final = web.AppKey("open_streams", OpenStreams)
