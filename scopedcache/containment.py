"""User code, called so that what it raises costs the object at hand, and nothing else.

Handlers, indexes, routes, mappers, predicates, transforms and subscribers are called by `UserFunction.call`. They are
plain functions, so no cancellation of ours comes out of one: a CancelledError (`result()` of a cancelled future) is an
exception like others. So is SystemExit: a process ends by a signal or by its manager, not because a library somewhere
below a handler calls `sys.exit`. Only KeyboardInterrupt passes: it is the person at the terminal, and surfaces in
whatever code happens to run.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from .event_logger import event_logger

logger: Final = event_logger("scopedcache.containment")

R = TypeVar("R")

FailureEvent = Literal[
    "handler.failed", "index.failed", "mapper.failed", "predicate.failed", "route.failed", "subscriber.failed",
    "transform.failed",
]  # fmt: skip
# Objects of one function that are named at a time. One that fails for more fails for a reason of its own, and a line
# for each of a hundred thousand objects would bury it.
NAMED_OBJECTS: Final = 20


class Subject(Protocol):
    """What a function is called about: a metadata record, or a key."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...


class UserFunction(Generic[R]):
    """One function of the user's.

    A failure is logged once for each object, until the function has gone well with that object again. The first
    failures of their kind come with their traceback.

    Attributes:
        failed: the objects with which it last failed, and how: only where there are some need `succeed` be called.

    Args:
        function: what to call; whatever reads its answer (a generator, a str of its own) belongs in here as well.
        failure: the event that is logged.
        otherwise: the answer where it fails.
        kind, controller: whose it is; empty where that is nobody's.
        named: the user's own function, where `function` wraps it.
    """

    __slots__ = ("_controller", "_function", "_kind", "_named", "_otherwise", "_seen", "failed", "failure")

    def __init__(
        self,
        function: Callable[..., R],
        failure: FailureEvent,
        *,
        otherwise: R,
        kind: str = "",
        controller: str = "",
        named: object = None,
    ) -> None:
        self.failure: FailureEvent = failure
        self._function = function
        self._otherwise = otherwise
        self._kind = kind
        self._controller = controller
        self._named = function if named is None else named
        self.failed: dict[tuple[str, str], type[BaseException]] = {}
        self._seen: set[type[BaseException]] = set()

    def call(self, subject: Subject, *args: Any) -> R:
        """Return what the function answers; `otherwise` where it raises anything but KeyboardInterrupt."""
        try:
            answer = self._function(*args)
        except BaseException as error:
            self.fail(subject, error)
            return self._otherwise
        if self.failed:
            self.succeed(subject)
        return answer

    # For who calls the function itself, because a call more is what a hundred thousand events would notice.

    def succeed(self, subject: Subject) -> None:
        """Take note that it went well."""
        self.failed.pop((subject.namespace, subject.name), None)

    def fail(self, subject: Subject, error: BaseException) -> None:
        """Take note of what it raised; KeyboardInterrupt is raised again."""
        if isinstance(error, KeyboardInterrupt):
            raise error
        key, kind = (subject.namespace, subject.name), type(error)
        if self.failed.get(key) is kind or (key not in self.failed and len(self.failed) >= NAMED_OBJECTS):
            return
        self.failed[key] = kind
        extra: dict[str, Any] = {
            "controller": self._controller or None,
            "kind": self._kind or None,
            "object": f"{key[0]}/{key[1]}" if key[0] else key[1],
            "function": _words(self._named),
            "error": kind.__name__,
        }
        if len(self.failed) == NAMED_OBJECTS:
            extra["more"] = "it fails for more objects than are named"
        logger.error(self.failure, extra=extra, exc_info=None if kind in self._seen else error)
        self._seen.add(kind)


def _words(function: object) -> str:
    """Return the name of a function; what others say of themselves is code of the user's too."""
    if isinstance(function, FunctionType | MethodType | BuiltinFunctionType):
        return function.__qualname__
    return type(function).__qualname__
