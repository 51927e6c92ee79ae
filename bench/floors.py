"""
The least that a guard can cost in Python: what the promises need, and nothing else.

No table of the project can be better than these. They leave out everything that could be left out for one call: no
deadline, no verdict, no peers, no undo, no selectors, no refusal. What stays is what the contract asks of every send:

- one coroutine per control (ADR 0001), entered through a `forward` that works once, on the thread that it belongs to (G2);
- a clock read before and after each control, so that what a control took is known;
- an object each for the message, the call and the journey, and the context variable that marks the send as guarded.

`recorded` adds the parts of "one limit, intent and outcome recorded" by themselves: two records of the usual size rendered,
chained by SHA-256 and handed to the kernel, and one hit of a moving window of `limits`.
"""

# ruff: noqa: ARG002, D102 - the least takes what the real thing takes

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from threading import get_ident
from typing import Any, Protocol

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

_now = time.monotonic
_sending: ContextVar[object] = ContextVar("sending", default=None)


class Floor(Protocol):
    """A control, as small as it can be."""

    async def guard(self, call: Any, forward: Callable[[Any], Awaitable[Any]], io: Any, /) -> Any: ...


class _Message:
    __slots__ = ("parts", "recipients")

    def __init__(self, parts: dict[str, str], recipients: tuple[str, ...]) -> None:
        self.parts = parts
        self.recipients = recipients


class _Call:
    __slots__ = ("journey", "message")

    def __init__(self, message: _Message, journey: _Journey) -> None:
        self.message = message
        self.journey = journey


class _Journey:
    __slots__ = ("arguments", "awaits", "home", "leaf", "plan")

    def __init__(self, plan: Sequence[Floor], leaf: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.plan = plan
        self.leaf = leaf
        self.arguments = arguments
        self.home = get_ident()
        self.awaits = False


class _Hop:
    __slots__ = ("index", "journey", "reply", "since", "state", "used")

    def __init__(self, journey: _Journey, index: int, since: float) -> None:
        self.journey = journey
        self.index = index
        self.since = since
        self.used = 0.0
        self.state = 0
        self.reply: Any = None

    def forward(self, call: _Call) -> Awaitable[Any]:
        return _enter(self.journey, self.index + 1, call, self)


async def _enter(journey: _Journey, index: int, call: _Call, parent: _Hop | None) -> Any:
    now = _now()
    if parent is not None:
        if parent.state or get_ident() != journey.home:
            raise RuntimeError("forward works once, on its own thread")
        parent.state = 1
        parent.used += now - parent.since
    if index < len(journey.plan):
        hop = _Hop(journey, index, now)
        reply = await journey.plan[index].guard(call, hop.forward, None)
        hop.used += _now() - hop.since
        if hop.state != 2 or reply is not hop.reply:  # back from forward
            raise RuntimeError("a control returns what forward gave it")
    else:
        token = _sending.set(journey)
        try:
            reply = journey.leaf(*journey.arguments)
            if journey.awaits:
                reply = await reply
        finally:
            _sending.reset(token)
    if parent is not None:
        parent.state = 2
        parent.since = _now()
        parent.reply = reply
    return reply


def floor(controls: Sequence[Floor], leaf: Callable[[str, str], Any]) -> Callable[[str, str], Any]:
    """*leaf*, a plain function, behind the least guard with *controls*."""

    def guarded(*arguments: Any) -> Any:
        journey = _Journey(controls, leaf, arguments)
        root = _enter(journey, 0, _Call(_Message({"body": arguments[1]}, (arguments[0],)), journey), None)
        try:
            root.send(None)
        except StopIteration as stop:
            return stop.value
        raise RuntimeError("a control waited")

    return guarded


def afloor(controls: Sequence[Floor], leaf: Callable[[str, str], Awaitable[Any]]) -> Callable[[str, str], Awaitable[Any]]:
    """*leaf*, a coroutine function, behind the least guard with *controls*."""

    async def guarded(*arguments: Any) -> Any:
        journey = _Journey(controls, leaf, arguments)
        journey.awaits = True
        return await _enter(journey, 0, _Call(_Message({"body": arguments[1]}, (arguments[0],)), journey), None)

    return guarded


# -- what a record and a limit cost by themselves ---------------------------------------------------------------------

INTENT: dict[str, Any] = {
    "channel": "sms",
    "content": [{"chars": 55, "digest": "d" * 43, "path": "body"}],
    "coverage": {"scanned": 1, "unscanned": 0},
    "direction": "outbound",
    "durability": "os",
    "event_id": "0" * 26,
    "guards": [
        {"control": "audit_log", "decision": "allow", "duration_seconds": 0.000012, "layer": "platform"},
        {"control": "rate_limit", "decision": "allow", "duration_seconds": 0.000009, "layer": "platform"},
    ],
    "operation": "__main__.send",
    "prev": "0" * 64,
    "recipients": [{"digest": "d" * 43, "kind": "phone"}],
    "schema_version": 1,
    "send_id": "0" * 26,
    "seq": 1,
    "stage": "intent",
    "stream": "s" * 40,
    "ts": "2026-01-01T00:00:00.000000Z",
}
OUTCOME: dict[str, Any] = {
    "event_id": "0" * 26,
    "outcome": "ok",
    "prev": "0" * 64,
    "schema_version": 1,
    "send_id": "0" * 26,
    "seq": 2,
    "stage": "outcome",
    "stream": "s" * 40,
    "ts": "2026-01-01T00:00:00.000000Z",
}


class Recording:
    """Two records per send: rendered, chained, written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
        self._digest = "0" * 64

    async def guard(self, call: Any, forward: Callable[[Any], Awaitable[Any]], io: Any, /) -> Any:
        self._write(INTENT)
        reply = await forward(call)
        self._write(OUTCOME)
        return reply

    def _write(self, record: dict[str, Any]) -> None:
        line = self._encode({**record, "prev": self._digest}).encode()
        self._digest = hashlib.sha256(line).hexdigest()
        os.write(self._descriptor, line + b"\n")


class Counting:
    """One hit of a moving window in memory per send."""

    def __init__(self, rate: str) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = parse(rate)

    async def guard(self, call: Any, forward: Callable[[Any], Awaitable[Any]], io: Any, /) -> Any:
        if not self._limiter.hit(self._rate, call.message.recipients[0]):
            raise RuntimeError("over the limit")
        return await forward(call)
