"""
The controls around the send, and the contract of `forward`.

Rules:
1. `forward` is entered at most once, only in the task and thread that runs `guard`, and only until `guard` ends.
2. Whatever breaks the contract denies the message: the fault is kept, and raised when the control ends.
3. A refusal is rebuilt (same class, masked reason, nothing attached); anything else that a control raises is a
   `ControlError`. What came from further inside passes through untouched.
4. A refusal from the door is final: it is raised again outside every control that saw it.
5. A control's own time is what it takes without its `forward`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Coroutine
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import drive
from guardrails.core.call import Call, make_call
from guardrails.core.door import through_the_door
from guardrails.core.refusal import crashed, fate, is_cancellation, overran, rebuilt
from guardrails.core.stream import Stream
from guardrails.errors import ControlError, Deferred, Denied, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.journey import Journey
    from guardrails.core.stack import Slot


class State(Enum):
    """How far one hop's `forward` is."""

    WAITING = "waiting"
    ENTERED = "entered"
    RETURNED = "returned"
    ENDED = "ended"


_WAITING, _ENTERED, _RETURNED, _ENDED = State
_monotonic: Final = time.monotonic


class Hop:
    """One control's part in one call."""

    # Defaults live on the class: most hops set few of them.
    state: State = _WAITING
    used: float = 0.0
    spent: float = 0.0  # before its overrun was forgiven
    door: float = 0.0  # of its steps at the door
    timed_out: bool = False
    cancels: int = 0
    cancelled_before: int = 0
    fault: ControlError | None = None
    inner_error: BaseException | None = None
    inner_reply: Any = None
    scope: Any = None

    def __init__(self, journey: Journey, index: int, slot: Slot, parent: Hop | None, call: Any, since: float) -> None:
        self.journey = journey
        self.index = index
        self.slot = slot
        self.parent = parent
        self.call = call
        self.since: float = since

    @property
    def name(self) -> str:
        """The control's name."""
        return self.slot.name

    def remaining(self) -> float:
        """Seconds that are left of the control's own time."""
        return self.slot.deadline_seconds - self.used - (_monotonic() - self.since)

    def forward(self, call: Call, /) -> Coroutine[Any, Any, Any]:
        """What a control calls to go on: with the next control, or through the door."""
        return enter(self.journey, self.index + 1, call, self)

    def leave(self, call: Call, now: float) -> None:
        """
        The control's own time stands still while what is inside runs.

        Raises:
            ControlError: It may not forward, or not from here.
        """
        journey = self.journey
        slot = self.slot
        self.used += now - self.since
        try:
            elsewhere = journey.here() != journey.home
        except RuntimeError:  # a thread without a loop
            elsewhere = True
        if (
            elsewhere
            or self.state is not _WAITING
            or self.timed_out
            or journey.dead
            or self.used > slot.deadline_seconds
            or type(call) is not Call
            or call._journey is not journey  # noqa: SLF001 - core's own
        ):
            self.since = now
            raise self._misused(call)
        self.state = _ENTERED
        if self.scope is not None:
            drive.pause_scope(self)
        if slot.kind == "mask" and journey.masked_parts is None:
            journey.raw_parts = self.call.message.parts
            journey.masked_parts = call.message.parts

    def run_apart(self) -> Coroutine[Any, Any, Any]:
        """The control's `guard` where it only watches, or under a scope of trio's."""
        slot, journey = self.slot, self.journey
        coroutine = slot.guard(self.call, self.probe if slot.monitored else self.forward, journey.io)
        return drive.within_scope(self, coroutine) if journey.io.scoped else coroutine

    async def probe(self, call: Call, /) -> Any:
        """The `forward` of a control that only watches: the original goes on, whatever it wanted."""
        original = self.call
        keeps = self.slot.kind == "mask"  # the others still see masked text
        if type(call) is Call and call.message.parts != original.message.parts and not keeps:
            self.journey.note("rewrite", by=self)
        reply = await self.forward(call if keeps else original)
        return Stream(None) if isinstance(reply, Stream) else reply

    def _misused(self, call: object) -> ControlError:
        if self.state in (_ENTERED, _RETURNED):
            problem = "forwarded twice"
        elif self.state is _ENDED:
            problem = "forwarded after its guard had ended"
        elif self.timed_out or self.used > self.slot.deadline_seconds:
            self.timed_out = True
            problem = "forwarded after its deadline"
        elif self.journey.dead:
            problem = "forwarded after it had been stopped"
        elif type(call) is not Call or call._journey is not self.journey:  # noqa: SLF001 - core's own
            problem = "forwarded something else than a Call of this send"
        else:
            problem = (
                "forwarded from another task or thread (wait_for, gather, create_task and shield make one; "
                "use asyncio.timeout)"
            )
        fault = self._error(problem)
        if self.state is not _ENDED and self.fault is None:
            self.fault = fault
        return fault

    def _error(self, problem: str) -> ControlError:
        sent = self.journey.sent
        return ControlError(
            f"control {self.name!r} {problem}; {fate(sent)}", sent=sent, control=self.name, where=self.slot.where
        )

    async def judged(self, reply: Any, error: BaseException | None) -> Any:
        """Everything but the plain case: what the control did wrong, or refused, or only watched."""
        journey = self.journey
        forwarded = self.state in (_ENTERED, _RETURNED)
        if self.state is _ENTERED and self.fault is None:
            self.fault = self._error("left its forward unfinished")
        self.state = _ENDED
        failure = self._failure(reply, error, forwarded=forwarded)
        if failure is not self.inner_error and isinstance(failure, Exception) and not isinstance(failure, Denied):
            self.slot.tally.add()
        if self.slot.monitored:
            return await self._watched(failure, forwarded=forwarded)
        if failure is None:
            return reply
        if failure is not self.inner_error and not is_cancellation(failure):
            journey.note(_verdict_of(failure), by=self)
        raise failure

    def _failure(self, reply: Any, error: BaseException | None, *, forwarded: bool) -> BaseException | None:
        """What is to be raised, if anything."""
        journey, slot = self.journey, self.slot
        if self.timed_out or (self.used > slot.deadline_seconds and not isinstance(error, GuardrailsError)):
            if self.cancels and drive.take_back(self) and error is not None and is_cancellation(error):
                return error  # somebody else cancelled as well, and that comes first
            if error is None or error is not self.inner_error:
                _discard(reply)
                return overran(
                    name=self.name,
                    where=slot.where,
                    deadline_seconds=slot.deadline_seconds,
                    sent=journey.sent,
                    after_send=fate(journey.sent),
                )
        if self.fault is not None:
            _discard(reply)
            return self.fault
        if error is not None:
            return self._raised(error)
        if inspect.isawaitable(reply):
            _discard(reply)
            return self._error("returned something that still wants an await (a forgotten await?)")
        if isinstance(reply, Stream) and reply is not journey.stream and not slot.monitored:
            return self._error("returned a Stream that is not the reply's")
        if not forwarded and reply is None:
            return self._error("neither forwarded nor replied")
        return None

    def _raised(self, error: BaseException) -> BaseException:
        journey, slot = self.journey, self.slot
        if error is self.inner_error or not isinstance(error, Exception):
            return error
        if isinstance(error, GuardrailsError):
            return rebuilt(error, name=self.name, where=slot.where, sent=journey.sent, clean=journey.clean)
        return crashed(error, name=self.name, where=slot.where, sent=journey.sent, after_send=fate(journey.sent))

    async def _watched(self, failure: BaseException | None, *, forwarded: bool) -> Any:
        """A monitored control: note what would have happened, and go on with the original, exactly once."""
        journey = self.journey
        if failure is not None and failure is not self.inner_error:
            if not isinstance(failure, Exception):
                raise failure
            journey.note("shadow_deny" if isinstance(failure, Denied) else "shadow_error", by=self)
        if not forwarded:
            call = self.call
            if self.slot.kind == "mask":
                # Nobody could mask it: inside, nothing is seen. What goes out is the original all the same.
                journey.raw_parts = call.message.parts
                call = call.with_text(dict.fromkeys(call.message.parts, ""))
                journey.masked_parts = call.message.parts
            # What it used up, and how it ended, is its own affair: the original goes on.
            self.state = _WAITING
            self.timed_out = False
            self.spent, self.used = self.used, 0.0
            self.since = _monotonic()
            return await self.forward(call)
        if self.inner_error is not None:
            raise self.inner_error
        return self.inner_reply


async def enter(  # noqa: C901, PLR0915 - flat: every frame here is paid by every control of every send
    journey: Journey, index: int, call: Call, parent: Hop | None = None
) -> Any:
    """
    Go on behind *parent* (None: from outside) with the control at *index* of the journey's route, or through the door.

    Raises:
        BaseException: What came from inside, as the same object; or what the control did, judged.
    """
    now = _monotonic()
    if parent is not None:
        parent.leave(call, now)
    route = journey.route
    error: BaseException | None = None
    reply: Any = None
    if index < len(route):
        slot = route[index]
        if call.layer is not slot.layer:
            call = make_call(call.message, slot.layer, journey)
        hop = journey.turn = journey.innermost = Hop(journey, index, slot, parent, call, now)
        try:
            if slot.monitored or journey.io.scoped:
                reply = await hop.run_apart()
            else:
                reply = await slot.guard(call, hop.forward, journey.io)
        except BaseException as caught:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
            error = caught
        now = _monotonic()
        hop.used += now - hop.since
        if (
            error is not None
            or hop.state is not _RETURNED
            or reply is not hop.inner_reply
            or hop.fault is not None
            or hop.timed_out
            or hop.used > slot.deadline_seconds
            or slot.monitored
        ):
            try:
                reply = await hop.judged(reply, error)
                error = None
            except BaseException as caught:  # noqa: BLE001 - raised below, outside this block
                error = caught
        hop.state = _ENDED
    else:
        try:
            if journey.skipped and journey.changed_since_bound(call):
                reply = await _late(journey, call, parent)
            else:
                journey.turn = None
                reply = await through_the_door(journey, call)
        except BaseException as caught:  # noqa: BLE001 - raised below, outside this block
            error = caught
        now = _monotonic()
    if journey.refusal is not None and (error is None or not is_cancellation(error)):
        error = journey.refusal
    if parent is not None:
        journey.turn = parent
        parent.state = _RETURNED if parent.state is _ENTERED else parent.state
        parent.since = now
        parent.inner_reply = reply
        parent.inner_error = error
        if parent.scope is not None:
            drive.resume_scope(parent)
    if error is None:
        return reply
    try:
        raise error
    finally:
        del error


def _late(journey: Journey, call: Call, parent: Hop | None) -> Coroutine[Any, Any, Any]:
    """
    An inner guard skipped what the outer one had committed, and then its controls changed the text: it is its own send.

    The skipped controls act now, around the door. *parent* has left already, and is not asked again.
    """
    journey.route, journey.skipped, journey.inherited = journey.skipped, (), ()
    journey.before_late = parent
    return enter(journey, 0, call)


def _verdict_of(failure: BaseException) -> str:
    if isinstance(failure, Deferred):
        return "defer"
    return "deny" if isinstance(failure, Denied) else "error"


def _discard(reply: Any) -> None:
    close = getattr(reply, "close", None) if inspect.iscoroutine(reply) else None
    if close is not None:
        close()
