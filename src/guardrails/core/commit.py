"""
What is spent and recorded at the door: all of a message's steps, or none.

Rules:
1. Steps are committed in the order of their phase, then as registered; those of one type, phase and store together.
2. Those of phase "recheck" take nothing, and are asked once more right before the intent if the others took their time.
3. When one fails, or somebody cancels, every step whose commit was entered is undone in reverse order, whatever happens
   meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import drive
from guardrails.core.control import DEADLINE_SECONDS, PHASES, Step
from guardrails.core.refusal import crashed, fate, is_cancellation, overran, rebuilt
from guardrails.errors import Denied, GuardrailsError

if TYPE_CHECKING:
    from guardrails.core.journey import Journey

_log: Final = logging.getLogger("guardrails")
_monotonic: Final = time.monotonic
RECHECK_SECONDS: Final = 1.0  # after which steps of phase "recheck" are asked once more, right before the intent


class StepTurn:
    """A door step's own time."""

    used: float = 0.0
    spent: float = 0.0
    timed_out: bool = False
    cancels: int = 0
    cancelled_before: int = 0
    scope: Any = None

    def __init__(self, hop: Any, step: Step) -> None:
        self.slot: Any = hop.slot
        self.deadline_seconds: float = getattr(step, "deadline_seconds", DEADLINE_SECONDS)
        self.since: float = _monotonic()

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


async def commit(journey: Journey) -> None:
    """
    Commit every step of the message, or none.

    Raises:
        GuardrailsError: A step refused, failed or came late; what was taken is given back.
    """
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
        turn = journey.turn = StepTurn(hop, first)
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


def _step_failed(journey: Journey, turn: StepTurn, error: BaseException | None) -> BaseException:
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
