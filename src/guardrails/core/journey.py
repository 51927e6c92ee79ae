"""
One call of one guarded send: what is known, what was decided, what was committed.

Plain state and the services that a `Call` offers; the order of events is in `onion` and `door`.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import observe
from guardrails.core.call import Call
from guardrails.core.control import NO_FINDINGS, PHASES, Outcome, Sealed, Step
from guardrails.core.message import Message, with_parts
from guardrails.core.refusal import classes_of, code_of, cut, result_of
from guardrails.core.stack import PLATFORM
from guardrails.core.stream import Stream
from guardrails.core.verdict import VERDICTS, Coverage, Finding, Note
from guardrails.errors import ControlError, Denied

if TYPE_CHECKING:
    from datetime import datetime

    from guardrails.core.binding import Reading
    from guardrails.core.drive import Ports
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

_log: Final = logging.getLogger("guardrails")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_WITHHELD: Final = "reason withheld"
_READ_CHARACTERS: Final = 16_384  # of a reason; half of a longer one could end within something personal
_SHADOWS: Final = {"deny": "shadow_deny", "defer": "shadow_deny", "error": "shadow_error"}  # of one that only watches


class Journey:
    """
    The state of one call.

    Attributes:
        plan: What was decided at decoration.
        io: What controls may wait for.
        home: The thread or task in which the controls run.
        sent: False before the send was entered, None while and if nobody can know, True after it returned.
        turn: Whose own time is running (a hop or a door step); None during the send.
        dead: Nothing may be forwarded any more.
        refusal: A final refusal; whatever a control makes of it, this is raised.
        reading: What the arguments say.
        masked_parts: The texts as the mask control forwarded them; None before it ran.
        raw_parts: The texts before it.
        mask_findings: What it found, where the seal found more.
    """

    # Defaults live on the class: most calls set few of them, and a call should cost little.
    turn: Any = None
    home: Any = None
    sent: bool | None = False
    dead: bool = False
    dry_run: bool = False
    canary: str | None = None  # set by `rehearse` alone, which replaces the send
    told_now: datetime | None = None  # the same: what `io.now` says
    refusal: BaseException | None = None
    reading: Reading | None = None
    coverage: Coverage | None = None
    skipped: tuple[Slot, ...] = ()
    inherited: tuple[Any, ...] = ()
    owner: tuple[Any, ...] = ()  # whose method the send is, once it was entered
    around: tuple[Journey, ...] = ()  # of the guards that send this same message, outermost first
    innermost: Any = None
    before_late: Any = None
    notes: list[tuple[Any, str, Mapping[str, Sequence[Finding]], Coverage | None, Any]] | None = None
    steps: list[tuple[Any, Step]] | None = None
    entered: Sequence[Step] = ()  # their commit was called, and the message is not past the door
    committed: Sequence[Step] = ()
    at_door_closed: bool = False
    settled: bool = False
    masked_parts: Mapping[str, str] | None = None
    raw_parts: Mapping[str, str] | None = None
    atoms: frozenset[str] = frozenset()
    findings: Mapping[str, Sequence[Finding]] = NO_FINDINGS
    mask_findings: Mapping[str, Sequence[Finding]] | None = None
    sealed_message: Message | None = None
    payload: Message | None = None
    stream: Stream | None = None
    reply_masked: object = None
    bound: Any = None  # the mask control, as it masks this one message
    reply_notes_from: int = 0
    reply_atoms: frozenset[str] = frozenset()
    at_leaf: bool = False
    reply_ended: bool = False
    replies_itself: bool = False  # the send passes the text of its reply through `reply_filters`
    send_error: BaseException | None = None
    cut_characters: int | None = None
    started: float = 0.0
    not_evaluated: tuple[str, ...] = ()
    _send_id: str | None = None

    io: Ports
    here: Callable[[], Any]

    def __init__(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.plan: Plan = plan
        self.args: tuple[Any, ...] = args
        self.kwargs: dict[str, Any] = kwargs
        self.route: tuple[Slot, ...] = plan.stack.slots
        self.once: list[bool] = [True]  # taken by the first inner call that is the same send

    def follow(self, plan: Plan) -> Plan:
        """Go on under *plan*, which was chosen for this message."""
        self.plan = plan
        self.route = plan.stack.slots
        return plan

    # -- what a Call offers to controls ------------------------------------------------------------------------------

    @property
    def send_id(self) -> str:
        """Joins the records of this call; 32 hex digits, made when first asked for."""
        if self._send_id is None:
            self._send_id = os.urandom(16).hex()
        return self._send_id

    def note(
        self,
        verdict: str,
        *,
        findings: Sequence[Finding] | Mapping[str, Sequence[Finding]] = (),
        coverage: Coverage | None = None,
        detail: Mapping[str, str | int | bool | None] | None = None,
        by: Any = None,
    ) -> None:
        """Keep what the control that runs now decided."""
        if verdict not in VERDICTS:
            raise ControlError(f"note: the verdict must be one of {', '.join(VERDICTS)}")
        if self.notes is None:
            self.notes = []
        elif len(self.notes) >= self.plan.caps.notes:
            raise Denied(f"more than {self.plan.caps.notes} notes", control="caps")
        if not isinstance(findings, Mapping):
            parts = self.reading.message.parts if self.reading is not None else {}
            findings = {next(iter(parts), "text"): tuple(findings)} if findings else NO_FINDINGS
        hop = by or self.turn
        if hop is not None and hop.slot.monitored:
            verdict = _SHADOWS.get(verdict, verdict)
            if verdict.startswith("shadow") and self.notes and self.notes[-1][:2] == (hop, verdict):
                return  # the control has said it itself
        if detail and (hop is None or hop.slot.layer != PLATFORM):
            detail = {
                self.clean(str(key)): self.clean(value) if isinstance(value, str) else value
                for key, value in detail.items()
            }
        self.notes.append((hop, verdict, findings, coverage, detail))

    def at_door(self, step: Step) -> None:
        """Keep a step for the door."""
        if self.at_door_closed:
            raise ControlError("at_door: the message has already reached the door")
        if step.phase not in PHASES:
            raise ControlError(f"at_door: the phase must be one of {', '.join(PHASES)}")
        if self.steps is None:
            self.steps = []
        elif len(self.steps) >= self.plan.caps.steps:
            raise Denied(f"more than {self.plan.caps.steps} door steps", control="caps")
        self.steps.append((self.turn, step))

    def is_opaque(self, identifier: str) -> bool:
        """Whether an id may be recorded as it is."""
        if not _OPAQUE.fullmatch(identifier):
            return False
        stack = self.plan.stack
        if stack.masker is None:
            return True
        known: bool | None = stack.recall("opaque", identifier)
        if known is None:
            try:
                look = getattr(stack.masker, "is_opaque", None)
                known = not stack.masker.mask(identifier)[1] if look is None else bool(look(identifier))
            except Exception as error:  # noqa: BLE001 - a detector that fails must not stop a record; the id is digested
                _log.error("guardrails: looking at an id failed with %s; it is recorded as a digest", type(error).__name__)
                return False
            stack.remember("opaque", identifier, known)
        return known

    def clean(self, text: str) -> str:
        """*text* masked, for a reason that leaves the guard."""
        stack = self.plan.stack
        if stack.masker is None or not text:
            return text
        if len(text) > _READ_CHARACTERS:
            return _WITHHELD
        known: str | None = stack.recall("reasons", text)
        if known is None:
            try:
                known = cut(stack.masker.mask(text)[0])
            except Exception as error:  # noqa: BLE001 - the refusal stands; only its wording is lost
                _log.error("guardrails: masking a reason failed with %s; it is withheld", type(error).__name__)
                return _WITHHELD
            stack.remember("reasons", text, known)
        return known

    def mask_hop(self) -> Any:
        """The mask control as it was entered; who is asked now, where it was not."""
        slot = self.plan.stack.mask
        return next((hop for hop in self.hops() if hop.slot is slot), self.turn)

    def has_entered(self, slot: Slot) -> bool:
        """Whether the control at *slot* was entered."""
        hop = self.innermost
        while hop is not None and hop.slot is not slot:
            hop = hop.parent
        return hop is not None or (self.before_late is not None and any(one.slot is slot for one in self.hops()))

    def hops(self) -> list[Any]:
        """The controls that were entered, outermost first."""
        found: list[Any] = []
        hop = self.innermost
        while hop is not None:
            found.append(hop)
            hop = hop.parent
        if self.before_late is not None:  # its parents were entered before the late controls
            hop = self.before_late
            while hop is not None:
                found.append(hop)
                hop = hop.parent
        found.reverse()
        return found

    def is_same_send(self, message: Message) -> bool:
        """Whether *message*, as an inner guard bound it, is what this journey is sending right now; true at most once."""
        payload = self.payload
        if self.settled or payload is None or message.recipients != payload.recipients or message.text != payload.text:
            return False
        try:
            self.once.pop()  # atomic: two threads cannot both take it
        except IndexError:
            return False
        return True

    def repeats(self, outer: Journey) -> bool:
        """Whether this calls the very send that *outer* is in; a method of another object is another send."""
        plan = self.plan
        if plan.send is not outer.plan.send:
            return False
        return not plan.is_method or all(own is its for own, its in zip(self.args, outer.owner, strict=False))

    def changed_since_bound(self, call: Call) -> bool:
        """Whether controls have changed the text that the arguments hold."""
        return self.reading is not None and call.message.parts != self.reading.message.parts

    # -- for records ---------------------------------------------------------------------------------------------------

    def verdicts(self, since: int = 0) -> tuple[Note, ...]:
        """What each control that was entered has noted; "allow" where it noted nothing."""
        notes = self.notes or ()
        if since:
            return tuple(_noted(*one) for one in notes[since:])
        said: dict[int, list[Note]] = {}
        for one in notes:
            said.setdefault(id(one[0]), []).append(_noted(*one))
        found: list[Note] = []
        for hop in self.hops():
            slot = hop.slot
            if slot.kind != "record":
                own = said.pop(id(hop), None) if said else None
                found += own or (Note(slot.name, slot.layer, "allow", duration_seconds=hop.used + hop.spent),)
        for others in said.values():
            found += others
        return tuple(found)

    def so_far(self) -> Sealed:
        """What is known now; never raw text where a mask control stands."""
        reading = self.reading
        message = self.sealed_message
        if message is None:
            bound = reading.message if reading is not None else self.plan.empty_message()
            if self.masked_parts is not None:
                message = with_parts(bound, self.masked_parts)
            elif self.plan.stack.mask is not None:
                message = with_parts(bound, {})
            else:
                message = bound
        return Sealed(
            message=message,
            findings=self.findings,
            verdicts=self.verdicts(),
            coverage=self.coverage or (reading.coverage() if reading is not None else Coverage()),
            send_id=self.send_id,
            operation=self.plan.operation,
            message_key=reading.message_key if reading is not None else None,
            policy=self.plan.stack.policy,
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def settle(self, error: BaseException | None = None, *, result: str | None = None) -> None:
        """Tell every committed step what became of the send, once. Never raises, never waits."""
        if self.settled:
            return
        self.settled = True
        if self.canary is None:
            self.plan.pulse.beat(self, error)
            if observe.observers:
                observe.tell(self, result or self._result(error), self.send_error or error)
        if not self.committed:
            return
        cause = self.send_error or error
        result = result or self._result(error)
        outcome = Outcome(
            result=result,
            error_type=None if cause is None else type(cause).__name__,
            error_code=None if cause is None else code_of(cause),
            released_characters=self.cut_characters,
            duration_seconds=time.monotonic() - self.started if self.started else 0.0,
            verdicts=self.verdicts(self.reply_notes_from) if self.notes and self.reply_notes_from else (),
            raised=classes_of(self.send_error) if self.send_error is not None and self.stream is None else (),
        )
        for step in self.committed:
            try:
                step.settle(outcome)
            except Exception as failure:  # noqa: BLE001 - the send is over; say it loudly, and go on with the others
                _log.error("guardrails: settle of %s failed with %s", type(step).__name__, type(failure).__name__)

    def _result(self, error: BaseException | None) -> str:
        """How the send ended, in a word."""
        if self.refusal is not None and self.sent is not False:
            return "cut"
        if self.send_error is not None:
            return result_of(self.send_error)
        if self.sent is False:
            if self.committed or (error is not None and not isinstance(error, Exception)):
                return "abandoned"
            return "refused" if error is not None else "replied"
        return "sent" if self.sent else "unknown"  # None: entered, and left before it returned

    def forget(self) -> None:
        """Let go of everything that holds text, so that no frame of ours leads to it."""
        self.args = ()
        self.kwargs = {}
        self.home = None
        self.owner = self.around = ()
        self.reading = None
        self.raw_parts = self.masked_parts = None
        self.sealed_message = self.payload = None
        self.reply_masked = None
        for hop in self.hops():
            hop.call = hop.inner_reply = None
        self.innermost = self.before_late = None
        self.notes = self.steps = None
        self.entered = self.committed = ()  # a record control's step keeps its call
        self.findings = NO_FINDINGS
        self.atoms = self.reply_atoms = frozenset()
        self.mask_findings = None


def _noted(
    hop: Any, verdict: str, findings: Mapping[str, Sequence[Finding]], coverage: Coverage | None, detail: Any
) -> Note:
    if hop is None or not hasattr(hop, "slot"):
        return Note("core", "platform", verdict, findings, coverage, detail=detail or {})
    slot = hop.slot
    return Note(slot.name, slot.layer, verdict, findings, coverage, slot.monitored, hop.used + hop.spent, detail or {})


def close_callbacks(callbacks: Iterable[Callable[[BaseException | None], None]], error: BaseException | None) -> None:
    """Tell everyone who asked that a stream has ended."""
    for callback in callbacks:
        try:
            callback(error)
        except Exception as failure:  # noqa: BLE001 - one listener must not silence the others
            _log.error("guardrails: an on_close callback failed with %s", type(failure).__name__)
