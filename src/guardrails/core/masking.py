"""
What the control of kind "mask" does to one call: the message on its way in, the reply on its way out, streams chunk by chunk.

Rules:
1. Only the mask control may ask for it: whoever could declare raw text masked could pass the seal with it.
2. What an outer guard replaced is an atom, and left alone.
3. What changed after the mask control is masked again by the seal.
4. A mask control that only watches changes nothing that goes out or comes back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import seal
from guardrails.core.control import NO_FINDINGS
from guardrails.core.message import with_parts
from guardrails.core.payload import Place, Walk, put
from guardrails.core.stream import Stream
from guardrails.core.verdict import Coverage, Finding
from guardrails.errors import ControlError, Denied

if TYPE_CHECKING:
    from guardrails.core.control import Filter, Masker
    from guardrails.core.journey import Journey
    from guardrails.core.message import Message

MASK_FILTER: Final = "mask"  # who owns a filter of the mask control
PREVIEWED: Final = object()  # what a previewed send "returned"


async def mask_message(journey: Journey, message: Message, masker: Masker, io: Any) -> Message:
    """*message* with every part masked; noted, and remembered as masked."""
    _only_the_mask(journey, "masked")
    if masker is not journey.plan.stack.masker:
        journey.bound = masker
    parts = message.parts
    _count_unread(journey, parts.values())
    masked: dict[str, str] = {}
    findings: dict[str, Sequence[Finding]] = {}
    atoms = journey.atoms
    for path, text in parts.items():
        masked[path], found = await mask_text(journey, masker, text, journey.atoms, io)
        if found:
            findings[path] = found
            atoms |= seal.atoms_in(masked[path], found)
    journey.atoms = atoms
    journey.findings = findings or NO_FINDINGS
    journey.raw_parts = parts
    journey.note("mask" if findings else "allow", findings=journey.findings)
    if masked != parts:
        message = with_parts(message, masked)
    journey.masked_parts = message.parts
    return message


def _count_unread(journey: Journey, texts: Iterable[str]) -> None:
    """
    What the mask control says that none of its detectors reads, into the record.

    Raises:
        Denied: There is some, and the guard is strict.
    """
    ask = getattr(journey.plan.stack.masker, "unread", None)
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
    if journey.plan.strict:
        raise Denied(f"strict: letters of {len(found)} scripts that no detector reads")
    base = journey.reading.coverage() if journey.reading is not None else Coverage()
    scripts = {f"script {name}": found[name] for name in sorted(found)}
    journey.coverage = Coverage(base.scanned, {**base.unscanned, **scripts})


async def mask_text(
    journey: Journey, masker: Masker, text: str, atoms: frozenset[str], io: Any
) -> tuple[str, Sequence[Finding]]:
    """One text masked between *atoms*; long ones in a worker thread on async sends."""
    if not text:
        return text, ()
    if journey.io.awaits and seal.takes_long(masker, text):
        return await io.ask(blocking=lambda: seal.mask_with_atoms(masker, text, atoms))  # type: ignore[no-any-return]
    return seal.mask_with_atoms(masker, text, atoms)


async def seal_message(journey: Journey, final: Message) -> None:
    """Mask what changed after the mask control; decide what the payload is."""
    masker, slot = journey.plan.stack.masker, journey.plan.stack.mask
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


async def mask_reply(journey: Journey, reply: object, masker: Masker, io: Any) -> object:
    """The reply, masked as the decoration says. Asked at the leaf and again where the mask control stands."""
    if journey.turn is not None and not journey.at_leaf:
        _only_the_mask(journey, "masked_reply")
    if reply is None or reply is PREVIEWED:
        return reply
    masker = getattr(journey.bound, "replies", masker)
    if isinstance(reply, Stream):
        _filter_stream(journey, reply, masker)
        return reply
    masked = await _masked_value(journey, reply, masker, io)
    if journey.plan.reply == "restore" and not journey.at_leaf and not _only_watched(journey):
        return await _restored(journey, masked, io)
    return masked


async def _masked_value(journey: Journey, reply: object, masker: Masker, io: Any) -> object:
    mode = journey.plan.reply
    if mode == "pass" or (mode == "auto" and not (isinstance(reply, str) and _answers_a_model(journey))):
        return reply
    if type(reply) is str and type(journey.reply_masked) is str and reply == journey.reply_masked:
        return reply
    monitored = _only_watched(journey)
    walk = Walk(journey.plan.caps)
    walk.read("reply", reply, ())
    changes: list[tuple[Place, str]] = []
    findings: dict[str, Sequence[Finding]] = {}
    for path, text in walk.texts.items():
        masked, found = await mask_text(journey, masker, text, journey.reply_atoms, io)
        if found:
            findings[path] = found
            journey.reply_atoms |= seal.atoms_in(masked, found)
            changes.append((walk.places[path][1], masked))
    if findings:
        journey.note("mask", findings=findings, detail={"reply": True}, by=journey.mask_hop())
    journey.reply_masked = put(reply, changes) if changes and not monitored else reply
    return journey.reply_masked


async def _restored(journey: Journey, reply: object, io: Any) -> object:
    """The reply with the tokens of the message's subject turned back; strings in containers too."""
    walk = Walk(journey.plan.caps)
    walk.read("reply", reply, ())
    ways = [(place, text) for path, text in walk.texts.items() for place in (walk.places[path][1],)]

    def restore() -> list[tuple[Place, str]]:
        news = [
            (place, journey.bound.restore(text, [getattr(step, "key", getattr(step, "name", None)) for step in place]))
            for place, text in ways
        ]
        return [new for new, (_, text) in zip(news, ways, strict=True) if new[1] != text]

    blocks = journey.io.awaits and getattr(journey.bound, "inline_characters", 1) == 0
    changes = await io.ask(blocking=restore) if blocks else restore()
    return put(reply, changes) if changes else reply


def _only_watched(journey: Journey) -> bool:
    slot = journey.plan.stack.mask
    return slot is not None and slot.monitored


def _only_the_mask(journey: Journey, method: str) -> None:
    hop = journey.turn
    if hop is None or hop.slot is not journey.plan.stack.mask:
        raise ControlError(f'Call.{method} is for the control of kind "mask"')


def _answers_a_model(journey: Journey) -> bool:
    return journey.reading is not None and journey.reading.message.channel == "llm"


def _filter_stream(journey: Journey, stream: Stream, masker: Masker) -> None:
    slot = journey.plan.stack.mask
    if journey.plan.reply == "pass" or (slot is not None and slot.monitored):
        return
    filters = stream._filters  # noqa: SLF001 - core's own
    # Once next to the send, and again outside whatever the controls in between added.
    if not filters or filters[-1][1] != MASK_FILTER:
        filters.append((masker.filter(), MASK_FILTER))
    if not journey.at_leaf:
        if journey.plan.reply == "restore":
            filters.append((journey.bound.restoring(), MASK_FILTER))
        stream._closed_to_team = True  # noqa: SLF001 - core's own


def reply_filters(journey: Journey, way: Sequence[str]) -> list[Filter]:
    """Fresh filters for one text, at the end of *way*, of a reply that only the send itself can read."""
    masker, mode = journey.plan.stack.masker, journey.plan.reply
    if masker is None or mode == "pass" or _only_watched(journey) or journey.plan.stack.mask in journey.skipped:
        return []
    filters: list[Filter] = [getattr(journey.bound, "replies", masker).filter()]
    if mode == "restore" and journey.bound.restores_at(way):
        filters.append(journey.bound.restoring(way))
    return filters
