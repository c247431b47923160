"""What goes wrong, on purpose: rules that are matched against requests, in the order in which they were added."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Final

import attrs

from .auth.rbac_authorizer import forbidden_message
from .server.api_server import Question
from .wire.messages import Answer, of_status_error
from .wire.status_errors import StatusError, forbidden

_REASONS: Final = {
    401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
    429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


class Lost(Exception):
    """There is no connection, or none any more."""


@attrs.define(eq=False)
class Fault:
    """A rule: which requests it is for, how often, and what happens to them. Unset fields match everything.

    Attributes:
        user, verb, resource, namespace, name, server: which requests; `resource` is written `deployments.apps`,
            `server` is the number of a front end.
        times: so many requests, then never again; None is for ever. `skip` lets the first ones pass.
        until: the cluster's time at which it is over: a window of false 403s after a restart, for one.
        chance: how likely a matching request is struck, by the cluster's seeded source.
        latency: seconds before the server looks at the request.
        code, reason, message, retry_after: answer with this Status; `html` answers with a page instead.
        refuse: no connection at all.
        cut_after: lose the connection in the middle of the line after so many lines of a watch.
        silence_after: say nothing more after so many lines, and keep the connection.
        drip: seconds between the bytes of a watch.
        oversize: begin a watch with a line of so many bytes.
    """

    user: str | None = None
    verb: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    server: int | None = None
    times: int | None = None
    skip: int = 0
    until: float = float("inf")
    chance: float = 1.0
    latency: float = 0.0
    code: int = 0
    reason: str = ""
    message: str = ""
    retry_after: int = 0
    html: bool = False
    refuse: bool = False
    cut_after: int | None = None
    silence_after: int | None = None
    drip: float = 0.0
    oversize: int = 0
    struck: int = attrs.field(default=0, init=False)
    _question: Question | None = attrs.field(default=None, init=False, repr=False)

    def fits(self, question: Question) -> bool:
        """Tell whether the rule is for a request."""
        asked, user = question.asked, question.user
        actual = {
            "user": user.name if user is not None else "",
            "verb": asked.verb,
            "resource": asked.subject,
            "namespace": asked.namespace,
            "name": asked.name,
            "server": question.request.server,
        }
        return all(getattr(self, field) in (None, value) for field, value in actual.items())

    def is_over(self, now: float) -> bool:
        """Tell whether the rule strikes no more."""
        return now >= self.until or (self.times is not None and self.struck >= self.times)

    def silences(self, number: int) -> bool:
        """Tell whether the line of this number is not sent any more, nor any after it."""
        return self.silence_after is not None and number >= self.silence_after

    def answer(self) -> Answer | None:
        """Return the answer that takes the place of the server's; None where the server is asked."""
        if not self.code:
            return None
        if self.html:
            page = f"<html><body><h1>{self.code} {self.message or 'Bad Gateway'}</h1></body></html>"
            return Answer(self.code, page.encode(), "text/html")
        refusal = self._refusal()
        if self.retry_after:
            refusal.headers["Retry-After"] = str(self.retry_after)
        return of_status_error(refusal)

    def _refusal(self) -> StatusError:
        question = self._question
        if self.code == 403 and not self.message and question is not None and question.user is not None:
            asked = question.asked
            return forbidden(asked.group, asked.resource, asked.name, forbidden_message(question.user, asked))
        about = {"retryAfterSeconds": self.retry_after} if self.retry_after else None
        reason = self.reason or _REASONS.get(self.code, "InternalError")
        return StatusError(self.code, reason, self.message or "a fault was asked for", about)


class Faults:
    """The rules in force. The same seed and the same requests meet the same faults.

    Tests add rules while a door in another thread asks for them: the list is changed in place, in one step each.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rules: list[Fault] = []
        self._chance: Callable[[], float] = random.Random(seed).random

    def add(self, fault: Fault, *, first: bool = False) -> Fault:
        """Put a rule into force, after the others or before them; return it, for `remove`."""
        self._rules.insert(0 if first else len(self._rules), fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a rule out of force; nothing happens when it is over."""
        with suppress(ValueError):
            self._rules.remove(fault)

    def clear(self) -> None:
        """Take all rules out of force."""
        self._rules.clear()

    def strike(self, question: Question, now: float) -> Fault | None:
        """Return what happens to a request, the first rule that fits; None: nothing. What is over is dropped."""
        for rule in tuple(self._rules):
            if rule.is_over(now):
                self.remove(rule)
                continue
            if not rule.fits(question):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.chance < 1.0 and self._chance() >= rule.chance:
                continue
            rule.struck += 1
            rule._question = question
            return rule
        return None

    def __repr__(self) -> str:
        return f"<Faults: {len(self._rules)} in force>"


async def cut_lines(fault: Fault, lines: list[bytes], sent: int) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a watch as a fault lets them through, none any more once it is silent; `sent` came before.

    Raises:
        Lost: the connection is cut.
    """
    if fault.oversize and not sent:
        yield b'{"type":"ADDED","object":{"metadata":{"name":"' + b"x" * fault.oversize + b'"}}}\n'
    for number, line in enumerate(lines, sent):
        if fault.cut_after is not None and number >= fault.cut_after:
            yield line[: len(line) // 2]
            raise Lost("connection lost in the middle of a line")
        if fault.silences(number):
            return
        if fault.drip:
            for byte in line:
                yield bytes([byte])
                await asyncio.sleep(fault.drip)
        else:
            yield line
