"""
One call of one guarded send: what is known, what was decided, what was committed.

Plain state and the services that a `Call` offers; the order of events is in `onion` and `door`.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import observe, seal
from guardrails.core.call import Call, make_call
from guardrails.core.control import NO_FINDINGS, PHASES, Outcome, Sealed, Step
from guardrails.core.message import Message, with_parts
from guardrails.core.payload import Place, Walk, put
from guardrails.core.refusal import REASON_CHARACTERS, classes_of, code_of, cut, result_of
from guardrails.core.stack import PLATFORM
from guardrails.core.stream import Stream
from guardrails.core.verdict import VERDICTS, Coverage, Finding, Note
from guardrails.errors import ControlError, Denied

if TYPE_CHECKING:
    from datetime import datetime

    from guardrails.core.binding import Reading
    from guardrails.core.control import Filter, Masker
    from guardrails.core.drive import Ports
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

_log: Final = logging.getLogger("guardrails")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_WITHHELD: Final = "reason withheld"
_SHADOWS: Final = {"deny": "shadow_deny", "defer": "shadow_deny", "error": "shadow_error"}  # of one that only watches
PREVIEWED: Final = object()  # what a previewed send "returned"


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
        text = text[: REASON_CHARACTERS * 16]
        known: str | None = stack.recall("reasons", text)
        if known is None:
            try:
                known = cut(stack.masker.mask(text)[0])
            except Exception as error:  # noqa: BLE001 - the refusal stands; only its wording is lost
                _log.error("guardrails: masking a reason failed with %s; it is withheld", type(error).__name__)
                return _WITHHELD
            stack.remember("reasons", text, known)
        return known

    async def mask_call(self, call: Call, masker: Masker, io: Any) -> Call:
        """Every part of *call* masked, noted, and remembered as masked."""
        self._only_the_mask("masked")
        if masker is not self.plan.stack.masker:
            self.bound = masker
        parts = call.message.parts
        self._count_unread(parts.values())
        masked: dict[str, str] = {}
        findings: dict[str, Sequence[Finding]] = {}
        atoms = self.atoms
        for path, text in parts.items():
            masked[path], found = await self.mask_text(masker, text, self.atoms, io)
            if found:
                findings[path] = found
                atoms |= seal.atoms_in(masked[path], found)
        self.atoms = atoms
        self.findings = findings or NO_FINDINGS
        self.raw_parts = parts
        self.note("mask" if findings else "allow", findings=self.findings)
        if masked != parts:
            call = make_call(with_parts(call.message, masked), call.layer, self)
        self.masked_parts = call.message.parts
        return call

    def _count_unread(self, texts: Iterable[str]) -> None:
        """
        What the mask control says that none of its detectors reads, into the record.

        Raises:
            Denied: There is some, and the guard is strict.
        """
        ask = getattr(self.plan.stack.masker, "unread", None)
        if ask is None:
            return
        foreign = [text for text in texts if not text.isascii()]
        if not foreign:
            return
        found: Counter[str] = Counter()
        for text in foreign:
            found.update(ask(text))
        if not found:
            return
        if self.plan.strict:
            raise Denied(f"strict: letters of {len(found)} scripts that no detector reads")
        base = self.reading.coverage() if self.reading is not None else Coverage()
        scripts = {f"script {name}": found[name] for name in sorted(found)}
        self.coverage = Coverage(base.scanned, {**base.unscanned, **scripts})

    async def mask_text(self, masker: Masker, text: str, atoms: frozenset[str], io: Any) -> tuple[str, Sequence[Finding]]:
        """One text masked between *atoms*; long ones in a worker thread on async sends."""
        if not text:
            return text, ()
        if self.io.awaits and seal.takes_long(masker, text):
            return await io.ask(blocking=lambda: seal.mask_with_atoms(masker, text, atoms))  # type: ignore[no-any-return]
        return seal.mask_with_atoms(masker, text, atoms)

    async def mask_reply(self, reply: object, masker: Masker, io: Any) -> object:
        """The reply, masked as the decoration says. Asked at the leaf and again where the mask control stands."""
        if self.turn is not None and not self.at_leaf:
            self._only_the_mask("masked_reply")
        if reply is None or reply is PREVIEWED:
            return reply
        masker = getattr(self.bound, "replies", masker)
        if isinstance(reply, Stream):
            self._filter_stream(reply, masker)
            return reply
        masked = await self._masked_value(reply, masker, io)
        if self.plan.reply == "restore" and not self.at_leaf and not self._only_watched():
            return await self._restored(masked, io)
        return masked

    async def _masked_value(self, reply: object, masker: Masker, io: Any) -> object:
        mode = self.plan.reply
        if mode == "pass" or (mode == "auto" and not (isinstance(reply, str) and self._answers_a_model())):
            return reply
        if isinstance(reply, str) and reply == self.reply_masked:
            return reply
        monitored = self._only_watched()
        walk = Walk(self.plan.caps)
        walk.read("reply", reply, ())
        changes: list[tuple[Place, str]] = []
        findings: dict[str, Sequence[Finding]] = {}
        for path, text in walk.texts.items():
            masked, found = await self.mask_text(masker, text, self.reply_atoms, io)
            if found:
                findings[path] = found
                self.reply_atoms |= seal.atoms_in(masked, found)
                changes.append((walk.places[path][1], masked))
        if findings:
            self.note("mask", findings=findings, detail={"reply": True}, by=self._mask_hop())
        self.reply_masked = put(reply, changes) if changes and not monitored else reply
        return self.reply_masked

    async def _restored(self, reply: object, io: Any) -> object:
        """The reply with the tokens of the message's subject turned back; strings in containers too."""
        walk = Walk(self.plan.caps)
        walk.read("reply", reply, ())
        ways = [(place, text) for path, text in walk.texts.items() for place in (walk.places[path][1],)]

        def restore() -> list[tuple[Place, str]]:
            news = [
                (place, self.bound.restore(text, [getattr(step, "key", getattr(step, "name", None)) for step in place]))
                for place, text in ways
            ]
            return [new for new, (_, text) in zip(news, ways, strict=True) if new[1] != text]

        blocks = self.io.awaits and getattr(self.bound, "inline_characters", 1) == 0
        changes = await io.ask(blocking=restore) if blocks else restore()
        return put(reply, changes) if changes else reply

    def _only_watched(self) -> bool:
        slot = self.plan.stack.mask
        return slot is not None and slot.monitored

    def _only_the_mask(self, method: str) -> None:
        # Whoever could call this could declare raw text masked, and pass the seal with it.
        hop = self.turn
        if hop is None or hop.slot is not self.plan.stack.mask:
            raise ControlError(f'Call.{method} is for the control of kind "mask"')

    def _answers_a_model(self) -> bool:
        return self.reading is not None and self.reading.message.channel == "llm"

    def _filter_stream(self, stream: Stream, masker: Masker) -> None:
        slot = self.plan.stack.mask
        if self.plan.reply == "pass" or (slot is not None and slot.monitored):
            return
        filters = stream._filters  # noqa: SLF001 - core's own
        # Once next to the send, and again outside whatever the controls in between added.
        if not filters or filters[-1][1] != _MASK_FILTER:
            filters.append((masker.filter(), _MASK_FILTER))
        if not self.at_leaf:
            if self.plan.reply == "restore":
                filters.append((self.bound.restoring(), _MASK_FILTER))
            stream._closed_to_team = True  # noqa: SLF001 - core's own

    def reply_filters(self, way: Sequence[str]) -> list[Filter]:
        """Fresh filters for one text, at the end of *way*, of a reply that only the send itself can read."""
        masker, mode = self.plan.stack.masker, self.plan.reply
        if masker is None or mode == "pass" or self._only_watched() or self.plan.stack.mask in self.skipped:
            return []
        filters: list[Filter] = [getattr(self.bound, "replies", masker).filter()]
        if mode == "restore" and self.bound.restores_at(way):
            filters.append(self.bound.restoring())
        return filters

    def _mask_hop(self) -> Any:
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


_MASK_FILTER: Final = "mask"


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
