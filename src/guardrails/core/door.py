"""
The last point before the send: seal the text, then spend and record, then send.

Rules:
1. Everything that can fail without consuming (sealing, writing the arguments back, the last look) comes first.
2. What is spent and recorded comes next (`commit`); a refusal from here is final.
3. After the last commit nothing waits: the send is entered at once.
"""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.commit import commit
from guardrails.core.lookout import look
from guardrails.core.masking import PREVIEWED, mask_reply, seal_message
from guardrails.core.nesting import sending, unmark
from guardrails.core.pieces import in_pieces
from guardrails.core.refusal import crashed, fate, rebuilt
from guardrails.core.shapes import Shape
from guardrails.core.stream import Stream
from guardrails.errors import ControlError, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Masker
    from guardrails.core.journey import Journey

_monotonic: Final = time.monotonic


class StopCarrier(RuntimeError):
    """Carries a StopIteration that a plain send raised out of coroutines, which would turn it into something else."""

    def __init__(self, stop: StopIteration) -> None:
        super().__init__("the send raised StopIteration")
        self.stop = stop


async def through_the_door(journey: Journey, call: Call) -> Any:  # noqa: C901, PLR0915 - flat: every frame here is paid by every send
    """Seal, commit, send. What comes back is the send's result, or a `Stream` of it."""
    if journey.refusal is not None:  # refused at entry: only the record control was asked
        raise journey.refusal
    journey.at_door_closed = True
    failure: BaseException | None = None
    try:
        if journey.masked_parts is not None:
            await seal_message(journey, call.message)
        else:
            journey.sealed_message = journey.payload = call.message
        if journey.dry_run:
            if journey.masked_parts is not None:
                await look(journey, (), {})
            return PREVIEWED
        args, kwargs = _arguments(journey)
        if journey.masked_parts is not None:
            await look(journey, args, kwargs)
        if journey.steps:
            await commit(journey)
    except BaseException as error:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
        failure = error
    if failure is not None:
        if isinstance(failure, Exception):
            journey.refusal = failure = _judged(journey, failure)
        raise failure
    # From here to the send nothing waits.
    plan = journey.plan
    if plan.is_method:
        journey.owner = journey.args[:1]
    journey.args, journey.kwargs = (), {}
    shape = plan.shape
    if shape is Shape.SYNC or shape is Shape.ASYNC:
        journey.sent = None
    token = sending.set(journey)
    journey.started = _monotonic()
    try:
        result = plan.send(*args, **kwargs)
        if shape is Shape.ASYNC and type(result) not in _VALUES and inspect.isawaitable(result):
            result = await result
    except StopIteration as stop:
        journey.send_error = stop
        raise StopCarrier(stop) from None
    except BaseException as error:
        journey.send_error = error
        if isinstance(error, GuardrailsError):
            error.sent = None
        raise
    finally:
        unmark(token)
        del args, kwargs
    if type(result) not in _VALUES:
        result = _looked_at(journey, result)
    elif journey.sent is None:
        journey.sent = True
    if journey.refusal is not None:  # a text argument was cut while the send consumed it
        raise journey.refusal
    masker = plan.stack.masker
    if masker is not None and _mask_acts(journey):
        journey.turn = journey.innermost
        journey.reply_notes_from = len(journey.notes or ())
        journey.at_leaf = True
        result = await _reply_masked(journey, masker, result)
        journey.at_leaf = False
    return result


_VALUES: Final = frozenset({str, bytes, int, float, bool, dict, list, tuple, type(None)})  # neither awaited nor iterated


def _looked_at(journey: Journey, result: Any) -> Any:
    """What the send returned: a stream, something that was to be awaited, or an object."""
    shape = journey.plan.shape
    if shape in (Shape.GENERATOR, Shape.ASYNC_GENERATOR):
        journey.stream = Stream(result, lambda: journey.turn)
        return journey.stream
    if shape is Shape.SYNC and inspect.isawaitable(result):
        close = getattr(result, "close", None)
        if close is not None:
            close()
        journey.send_error = ControlError(
            f'{journey.plan.operation} looks like a plain function but returned an awaitable; decorate it with shape="async"',
            sent=None,
            control="guard",
        )
        raise journey.send_error
    journey.sent = True
    if hasattr(type(result), "__next__") or hasattr(type(result), "__anext__"):
        journey.stream = Stream(result, lambda: journey.turn)
        return journey.stream
    return result


def _mask_acts(journey: Journey) -> bool:
    slot = journey.plan.stack.mask
    return slot is not None and journey.has_entered(slot)


async def _reply_masked(journey: Journey, masker: Masker, reply: Any) -> Any:
    """The reply as the controls inside the mask control may see it."""
    try:
        return await mask_reply(journey, reply, masker, journey.io)
    except Exception as caught:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
        error = caught
    slot = journey.plan.stack.mask
    assert slot is not None  # noqa: S101 - it is where the masker came from
    if isinstance(error, GuardrailsError):
        raise rebuilt(error, name=slot.name, where=slot.where, sent=journey.sent, clean=journey.clean)
    raise crashed(error, name=slot.name, where=slot.where, sent=journey.sent, after_send=fate(journey.sent))


def _arguments(journey: Journey) -> tuple[tuple[Any, ...], dict[str, Any]]:
    reading, payload = journey.reading, journey.payload
    assert reading is not None and payload is not None  # noqa: S101, PT018 - set before the first control ran
    args, kwargs = journey.args, journey.kwargs
    if payload.parts is not reading.message.parts:
        args, kwargs = journey.plan.binding.write(reading, payload, args, kwargs)
    if reading.iterators:
        return in_pieces(journey, reading, payload, args, kwargs)
    return args, kwargs


def _judged(journey: Journey, failure: Exception) -> Exception:
    """A failure at the door, as the caller may see it."""
    if isinstance(failure, GuardrailsError):
        if failure.control is None:
            slot = journey.plan.stack.mask
            failure = rebuilt(
                failure,
                name="core" if slot is None else slot.name,
                where="" if slot is None else slot.where,
                sent=False,
                clean=journey.clean,
            )
        return failure
    slot = journey.plan.stack.mask
    if journey.payload is None and slot is not None:
        return crashed(failure, name=slot.name, where=slot.where, sent=False, after_send=fate(sent=False))
    return crashed(failure, name="binding", where=journey.plan.operation, sent=False, after_send=fate(sent=False))
