"""
The way of one call, from its arguments to its reply: bind, onion, door, send, outcome.

Failures are carried as values to the outermost frame and raised there, so that no traceback leads through a frame that
held the message.
"""

from __future__ import annotations

from collections.abc import Coroutine
from threading import get_ident
from typing import TYPE_CHECKING, Any

from guardrails.core import drive
from guardrails.core.call import make_call
from guardrails.core.commit import undo_by_hand, undo_entered
from guardrails.core.door import StopCarrier
from guardrails.core.guarded import alet_go, guarded, let_go, raise_clean
from guardrails.core.journey import Journey
from guardrails.core.nesting import sending
from guardrails.core.onion import enter
from guardrails.core.pieces import collect, leave_out
from guardrails.core.refusal import crashed, fate, rebuilt
from guardrails.core.shapes import Shape
from guardrails.core.stack import PLATFORM
from guardrails.core.stream import Stream
from guardrails.errors import ControlError, Denied, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.binding import Reading
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot


def run_blocking(journey: Journey) -> Any:
    """One call of a sync send, in the caller's thread."""
    journey.io = drive.BlockingIo(journey)
    journey.here = get_ident
    journey.home = get_ident()
    failure: BaseException | None = None
    reply: Any = None
    try:
        reply = drive.step(prepared(journey), journey)
    except BaseException as error:  # noqa: BLE001 - raised below, outside this block
        failure = error
    if failure is None and journey.refusal is None:
        failure = unfit(journey, reply)
        if failure is None:
            return finish(journey, reply)
    del reply
    if journey.entered:
        undo_by_hand(journey)
    return raise_clean(ended(journey, failure))


async def run_awaiting(journey: Journey) -> Any:
    """One call of an async send, in the caller's task."""
    io = journey.io = drive.io_for(journey, awaits=True)
    journey.here = io.here
    journey.home = io.here()
    failure: BaseException | None = None
    reply: Any = None
    try:
        reply = await drive.Watched(prepared(journey), journey, arms=type(io) is drive.AsyncioIo)
    except BaseException as error:  # noqa: BLE001 - raised below, outside this block
        failure = error
    if failure is None and journey.refusal is None:
        failure = unfit(journey, reply)
        if failure is None:
            dropped = None if reply is journey.stream else _dropped(journey)
            reply = finish(journey, reply)
            if dropped is not None:
                await alet_go(dropped)
            return reply
    del reply
    if isinstance(failure, GeneratorExit):  # the caller closes this coroutine: nothing can be awaited
        undo_by_hand(journey)
        return raise_clean(ended(journey, failure))
    dropped = _dropped(journey)
    try:
        if journey.entered:  # a step would not stop, and was left behind
            await undo_entered(journey)
        failure = ended(journey, failure)
        if dropped is not None:
            await alet_go(dropped)
    except BaseException as error:  # noqa: BLE001 - a cancellation: raised below, outside this block
        failure = error
    return raise_clean(ended(journey, failure))


def prepared(journey: Journey) -> Coroutine[Any, Any, Any]:
    """Read the arguments, and say how to go on: through the controls, or straight to the record of a refusal."""
    plan = journey.plan
    refused: Exception | None = None
    plan.ready()
    try:
        reading = journey.reading = plan.binding.read(journey.args, journey.kwargs)
        if plan.choice is not None:  # hot: `chosen` and `follow`, written out
            stack = plan.choice.stack(reading.message)
            plan = journey.plan = plan.known.get(stack) or plan.under(stack)
            journey.route = stack.slots
        if reading.iterators is not None:
            if not plan.cuts:
                return _collected(journey, reading)
            leave_out(reading)
        if plan.required:
            _require(plan, reading)
    except TypeError as error:
        if journey.reading is None and _is_signature_error(error):
            raise error.with_traceback(None) from None  # the frames behind it hold the arguments
        refused = error
    except Exception as error:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
        refused = error
    if refused is not None:
        return _refused_at_entry(journey, refused)
    outer = sending.get()
    if outer is not None:
        _meet(journey, outer, reading)
    return enter(journey, 0, make_call(reading.message, PLATFORM, journey))


async def _collected(journey: Journey, reading: Reading) -> Any:
    """As `prepared`, for text arguments that arrive in pieces."""
    refused: Exception | None = None
    try:
        await collect(journey, reading)
        _require(journey.plan, reading)
    except GuardrailsError as error:
        refused = error
    if refused is not None:
        return await _refused_at_entry(journey, refused)
    outer = sending.get()
    if outer is not None:
        _meet(journey, outer, reading)
    return await enter(journey, 0, make_call(reading.message, PLATFORM, journey))


def _is_signature_error(error: TypeError) -> bool:
    """Whether the call itself does not fit the send: the caller gets the TypeError that Python would raise."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_name == "_bind" and "inspect" in trace.tb_frame.f_code.co_filename


def _require(plan: Plan, reading: Reading) -> None:
    for role, why in plan.required:
        message = reading.message
        if not (message.recipients and all(message.recipients) if role == "recipient" else getattr(message, role)):
            raise Denied(f"a call without a {role}, which {why} needs", control="binding")


def _meet(journey: Journey, outer: Journey, reading: Reading) -> None:
    """Whether this call is the same send as the one that an outer guard runs now; a send that calls itself sends twice."""
    around = (*outer.around, outer)
    if any(journey.repeats(one) for one in around) or not outer.is_same_send(reading.message):
        return
    journey.around = around
    done = outer.plan.acting + outer.inherited
    slots = journey.plan.stack.slots
    journey.skipped = tuple(slot for slot in slots if _committed(slot, done))
    journey.route = tuple(slot for slot in slots if slot not in journey.skipped)
    journey.inherited = done
    journey.atoms = outer.atoms


def _committed(slot: Slot, committed: tuple[Any, ...]) -> bool:
    return any(slot.control is control for control in committed)


_OWN = ("binding", "caps", "policy")  # refusals that we word ourselves


async def _refused_at_entry(journey: Journey, refused: Exception) -> Any:
    """The arguments could not be read: the refusal goes on the record, through the record control alone."""
    plan = journey.plan
    failure: Exception
    if isinstance(refused, GuardrailsError) and refused.control in _OWN:
        failure = refused
        failure.where = refused.where or plan.operation
    elif isinstance(refused, GuardrailsError):  # a Binder's own: it may say anything
        failure = rebuilt(refused, name="binding", where=plan.operation, sent=False, clean=journey.clean)
    else:
        failure = crashed(refused, name="binding", where=plan.operation, sent=False, after_send=fate(sent=False))
    del refused
    journey.refusal = failure
    journey.route = () if plan.stack.record is None else (plan.stack.record,)
    if not journey.route:
        raise failure
    message = plan.empty_message() if journey.reading is None else journey.reading.message
    return await enter(journey, 0, make_call(message, PLATFORM, journey))


def finish(journey: Journey, reply: Any) -> Any:
    """What the caller gets, and the outcome of what is over."""
    journey.turn = None
    if type(reply) is Stream:
        return guarded(journey, reply)
    journey.settle()
    _close_dropped_now(journey)
    return reply


def unfit(journey: Journey, reply: Any) -> ControlError | None:
    """Why *reply* cannot be what the send gives, if so."""
    if journey.plan.shape not in _STREAMING or type(reply) is Stream or isinstance(reply, str):
        return None
    return ControlError(
        f"a control replied with {type(reply).__name__} to a send that streams; reply with a str",
        sent=journey.sent,
        control="guard",
    )


_STREAMING = (Shape.GENERATOR, Shape.ASYNC_GENERATOR)


def ended(journey: Journey, failure: BaseException | None) -> BaseException:
    """What the caller shall see of *failure*; the outcome is written."""
    if isinstance(failure, StopCarrier):
        failure = failure.stop
    refusal = journey.refusal
    if refusal is not None and (failure is None or isinstance(failure, Exception)):
        failure = refusal
    assert failure is not None  # noqa: S101 - without a failure there is a refusal
    if isinstance(failure, GuardrailsError) and failure.sent is False:
        failure.sent = journey.sent
    journey.settle(failure)
    _close_dropped_now(journey)
    journey.forget()
    return failure


def _dropped(journey: Journey) -> Any:
    """The source of a stream that will never reach the caller; it is closed once the outcome is written."""
    stream, journey.stream = journey.stream, None
    return None if stream is None else stream._source  # noqa: SLF001 - core's own


def _close_dropped_now(journey: Journey) -> None:
    source = _dropped(journey)
    if source is not None and not hasattr(type(source), "__anext__"):
        let_go(source)
