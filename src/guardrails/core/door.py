"""
The last point before the send: seal the text, then spend and record, then send.

Rules:
1. Everything that can fail without consuming (sealing, writing the arguments back, the last look) comes first.
2. Steps are committed in the order of their phase, then as registered; those of one type, phase and store together.
   Those of phase "recheck" take nothing, and are asked once more right before the intent if the others took their time.
3. When one fails, or somebody cancels, every step whose commit was entered is undone in reverse order, whatever happens
   meanwhile, and the refusal is final.
4. After the last commit nothing waits: the send is entered at once.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import drive, seal
from guardrails.core.control import DEADLINE_SECONDS, PHASES, Step
from guardrails.core.lookout import look
from guardrails.core.masking import PREVIEWED, mask_reply, mask_text
from guardrails.core.message import Message, with_parts
from guardrails.core.nesting import sending, unmark
from guardrails.core.pieces import in_pieces
from guardrails.core.refusal import crashed, fate, is_cancellation, overran, rebuilt
from guardrails.core.shapes import Shape
from guardrails.core.stream import Stream
from guardrails.errors import ControlError, Denied, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Masker
    from guardrails.core.journey import Journey

_log: Final = logging.getLogger("guardrails")
_monotonic: Final = time.monotonic
RECHECK_SECONDS: Final = 1.0  # after which steps of phase "recheck" are asked once more, right before the intent


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
            await _seal(journey, call)
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
            await _commit(journey)
    except BaseException as error:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
        failure = error
    if failure is not None:
        if isinstance(failure, Exception):
            journey.refusal = failure = _judged(journey, failure)
        raise failure
    # From here to the send nothing waits.
    plan = journey.plan
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


async def _seal(journey: Journey, call: Call) -> None:
    """Mask what changed after the mask control; decide what the payload is."""
    final, masker, slot = call.message, journey.plan.stack.masker, journey.plan.stack.mask
    before = journey.masked_parts
    masker = getattr(journey.bound, "sealing", masker)
    assert masker is not None and slot is not None and before is not None  # noqa: S101, PT018 - the caller looked
    sealed = dict(final.parts)
    found: dict[str, Sequence[Any]] = {}
    for path in seal.changed(final.parts, before):
        sealed[path], findings = await mask_text(journey, masker, sealed[path], journey.atoms, journey.io)
        if findings:
            found[path] = findings
            journey.atoms |= seal.atoms_in(sealed[path], findings)
    if found:
        journey.note("mask", findings=found, detail={"seal": True}, by=journey.mask_hop())
        journey.mask_findings = journey.findings
        journey.findings = {
            path: (*journey.findings.get(path, ()), *found.get(path, ())) for path in {**journey.findings, **found}
        }
    journey.sealed_message = final if sealed == final.parts else with_parts(final, sealed)
    journey.payload = journey.sealed_message
    if slot.monitored:
        journey.payload = _unmasked(journey, final)


def _unmasked(journey: Journey, final: Message) -> Message:
    """Under `monitor` the payload is the original, but for parts that a later control rewrote."""
    before, raw = journey.masked_parts or {}, journey.raw_parts or {}
    return with_parts(
        final, {path: raw.get(path, text) if before.get(path) == text else text for path, text in final.parts.items()}
    )


def _arguments(journey: Journey) -> tuple[tuple[Any, ...], dict[str, Any]]:
    reading, payload = journey.reading, journey.payload
    assert reading is not None and payload is not None  # noqa: S101, PT018 - set before the first control ran
    args, kwargs = journey.args, journey.kwargs
    if payload.parts is not reading.message.parts:
        args, kwargs = journey.plan.binding.write(reading, payload, args, kwargs)
    if reading.iterators:
        return in_pieces(journey, reading, payload, args, kwargs)
    return args, kwargs


class _StepTurn:
    """A door step's own time."""

    used = 0.0
    spent = 0.0
    timed_out = False
    cancels = 0
    cancelled_before = 0
    scope: Any = None

    def __init__(self, hop: Any, step: Step) -> None:
        self.slot = hop.slot
        self.deadline_seconds: float = getattr(step, "deadline_seconds", DEADLINE_SECONDS)
        self.since = _monotonic()

    @property
    def name(self) -> str:
        """The name of the step's control."""
        return self.slot.name  # type: ignore[no-any-return]  # a Slot

    @property
    def where(self) -> str:
        """The place of the step's control in code."""
        return self.slot.where  # type: ignore[no-any-return]  # a Slot

    def remaining(self) -> float:
        """Seconds that are left."""
        return self.deadline_seconds - (_monotonic() - self.since)


async def _commit(journey: Journey) -> None:
    sealed = journey.so_far()
    io: Any = journey.io
    entered: list[Step] = []
    journey.entered = entered
    error: BaseException | None = None
    noted = len(journey.notes or ())
    groups = _groups(journey.steps or [])
    rechecks = [group for group in groups if group[0][1].phase == "recheck"]
    checked = _monotonic()
    while groups:
        group = groups.pop(0)
        hop, first = group[0]
        if rechecks and first.phase == "intent" and _monotonic() - checked > RECHECK_SECONDS:
            # A limit waited for room: what was looked at before that may have changed.
            groups, rechecks = [*rechecks, group, *groups], []
            continue
        if len(journey.notes or ()) != noted:  # a step said something that the steps after it record
            sealed, noted = journey.so_far(), len(journey.notes or ())
        peers: Sequence[Step] = [step for _, step in group[1:]] if len(group) > 1 else ()
        if first.phase != "recheck" or all(first is not step for step in entered):
            entered.append(first)
            entered += peers
        turn = journey.turn = _StepTurn(hop, first)
        try:
            if io.scoped:
                await drive.within_scope(turn, first.commit(sealed, peers, io))
            else:
                await first.commit(sealed, peers, io)
        except BaseException as caught:  # noqa: BLE001 - judged below, outside this block: nothing raw is chained
            error = caught
        journey.turn = None
        left = turn.remaining()
        hop.door += turn.deadline_seconds - left
        if error is None and not turn.timed_out and left >= 0:
            continue
        error = _step_failed(journey, turn, error)
        if not (hop.slot.monitored and isinstance(error, Exception)):
            break
        # It only watches: say what it would have done, and go on without it.
        journey.note("shadow_deny" if isinstance(error, Denied) else "shadow_error", by=hop)
        await _undo(journey, [step for _, step in group])
        watching = {id(step) for _, step in group}
        entered[:] = [step for step in entered if id(step) not in watching]
        sealed, error = journey.so_far(), None
    if error is None:
        journey.committed, journey.entered = entered, []
        return
    if not journey.dead:  # else this coroutine is being closed and can wait for nothing: whoever drives it undoes
        await undo_entered(journey)
    raise error


async def undo_entered(journey: Journey) -> None:
    """Give back what was taken for a message that is not sent."""
    entered, journey.entered = journey.entered, []
    await _undo(journey, entered)


def undo_by_hand(journey: Journey) -> None:
    """As `undo_entered`, where nothing can be awaited: a step that wants to wait is left, and that is said."""
    entered, journey.entered = journey.entered, []
    for step in reversed(entered):
        try:
            drive.step(step.undo(drive.BlockingIo(journey)), journey)
        except Exception as error:  # noqa: BLE001 - the other steps are undone all the same
            _log.error("guardrails: undo of %s failed with %s", type(step).__name__, type(error).__name__)


def _step_failed(journey: Journey, turn: _StepTurn, error: BaseException | None) -> BaseException:
    """What a commit that raised or came late is to the caller."""
    late = turn.timed_out or turn.remaining() < 0
    if late and turn.cancels and drive.take_back(turn) and error is not None and is_cancellation(error):
        return error
    if late and not isinstance(error, GuardrailsError):
        return overran(
            name=turn.name,
            where=turn.where,
            deadline_seconds=turn.deadline_seconds,
            sent=False,
            after_send=fate(sent=False),
        )
    if isinstance(error, GuardrailsError):
        return rebuilt(error, name=turn.name, where=turn.where, sent=False, clean=journey.clean)
    if isinstance(error, Exception):
        return crashed(error, name=turn.name, where=turn.where, sent=False, after_send=fate(sent=False))
    assert error is not None  # noqa: S101 - one of the cases above, or somebody stopped waiting
    return error


_ORDER: Final = {phase: number for number, phase in enumerate(PHASES)}


def _groups(steps: Sequence[tuple[Any, Step]]) -> list[list[tuple[Any, Step]]]:
    """Steps of one type, phase and store together, in the order of their phase, then as registered."""
    if len(steps) == 1:
        return [list(steps)]
    groups: dict[tuple[Any, ...], list[tuple[Any, Step]]] = {}
    for pair in steps:
        hop, step = pair
        # A watching control's steps stay by themselves: their refusal must not be the others'.
        key = (step.phase, type(step), step.store, id(step) if hop.slot.monitored else None)
        known = groups.get(key)
        if known is None:
            groups[key] = [pair]
        else:
            known.append(pair)
    return sorted(groups.values(), key=_order)


def _order(group: Sequence[tuple[Any, Step]]) -> int:
    return _ORDER[group[0][1].phase]


async def _undo(journey: Journey, entered: Sequence[Step]) -> None:
    interrupted: BaseException | None = None
    for step in reversed(entered):
        try:
            await drive.shielded(lambda step=step: step.undo(journey.io), journey.io)  # type: ignore[misc]  # bound now
        except Exception as error:  # noqa: BLE001 - the refusal stands; at most one unit is lost, and that is said
            _log.error("guardrails: undo of %s failed with %s", type(step).__name__, type(error).__name__)
            journey.note("error", detail={"undo": type(step).__name__, "error": type(error).__name__})
        except BaseException as error:  # noqa: BLE001 - somebody stopped waiting: the other steps are undone first
            interrupted = error
    if interrupted is not None:
        raise interrupted


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
