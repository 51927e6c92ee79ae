"""
The door's last look at what goes out, beside the seal and independent of the mask control (`exposure`).

1. It looks at every text of the message and at every other string of the arguments. What routes the message (recipients,
   sender, conversation, tenant, message key) may stand in those other strings, never in a text.
2. What an operator left or put there is let through: the texts that stand at its findings' places, and what the mask control
   `allows`. Everything else that is exposed refuses the message.
3. Where the mask control only watches, this only records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.exposure import Exposure, exposures
from guardrails.core.payload import field_names, texts_beside_fields
from guardrails.core.seal import INLINE_CHARACTERS
from guardrails.core.selector_binding import SelectorBinding
from guardrails.core.verdict import Finding
from guardrails.errors import Blocked, Denied

if TYPE_CHECKING:
    from guardrails.core.journey import Journey

_SHORTEST_MOVED: Final = 6  # characters; anything shorter may stand anywhere
_INLINE: Final = INLINE_CHARACTERS * 8  # characters; these patterns are cheap


async def look(journey: Journey, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """
    Refuse the message if its texts or arguments show what no operator allows.

    Args:
        journey: The call, sealed.
        args: What the send is about to be given; nothing in a preview.
        kwargs: The same, by keyword.

    Raises:
        Blocked: They do; says which types, and in which part or argument.
        Denied: Strings that no selector names are over the caps.
    """
    sealed, slot = journey.sealed_message, journey.plan.stack.mask
    assert sealed is not None and slot is not None  # noqa: S101, PT018 - the door has sealed it
    if slot.monitored:
        args, kwargs = _as_if_masked(journey, args, kwargs)
    parts = sealed.parts
    others = list(_others(journey, args, kwargs))
    rest = _strings(journey, others, frozenset(parts.values())) if others else []
    size = sum(map(len, parts.values())) + sum(len(text) for _, text in rest)
    shown: dict[str, list[Exposure]]
    if journey.io.awaits and size > _INLINE:
        io: Any = journey.io
        shown = await io.ask(blocking=lambda: _shown(journey, parts, rest))
    else:
        shown = _shown(journey, parts, rest)
    if not shown:
        return
    findings = {path: [Finding(one.type, 0, 0, 1.0) for one in found] for path, found in shown.items()}
    journey.note("deny", findings=findings, detail={"seal": "independent"}, by=journey.mask_hop())
    if slot.monitored:
        return
    types = [one.type for found in shown.values() for one in found]
    where, first = next((path, found[0].type) for path, found in shown.items())
    why = "was not masked" if where in parts else "is no recipient= or sender=, and no operator keeps it"
    raise Blocked(f"{first} in {where!r} {why}", findings={kind: types.count(kind) for kind in dict.fromkeys(types)})


def _shown(journey: Journey, parts: Mapping[str, str], rest: Iterable[tuple[str, str]]) -> dict[str, list[Exposure]]:
    """What is exposed and not let through, by part and argument."""
    shown: dict[str, list[Exposure]] = {}
    for path, text in parts.items():
        if exposures(text) and (found := exposures(_without_replacements(journey, path, text))):
            shown[path] = found
    for path, text in rest:
        if found := exposures(text):
            shown.setdefault(path, []).extend(found)
    if not shown:
        return shown
    placed = frozenset(
        one for path in journey.findings for text, _ in _replacements(journey, path) for one in exposures(text)
    )
    routed = frozenset(_routed(journey))
    allows = getattr(journey.bound or journey.plan.stack.masker, "allows", None)
    left = {
        path: [
            one
            for one in found
            if one not in placed
            and not (path not in parts and one in routed)
            and not (allows is not None and allows(one.type, one.value))
        ]
        for path, found in shown.items()
    }
    return {path: found for path, found in left.items() if found}


def _replacements(journey: Journey, path: str) -> Iterator[tuple[str, int]]:
    """What stands at the places of findings, which operators left or put there, and where in the final text, or -1."""
    masked, sealed = journey.masked_parts or {}, journey.sealed_message
    before = masked.get(path, "")
    after = before if sealed is None else sealed.parts.get(path, "")
    findings = journey.findings.get(path, ())
    # What the seal found comes after what the mask control found, and lies in another text.
    own = len(findings) if journey.mask_findings is None else len(journey.mask_findings.get(path, ()))
    for number, finding in enumerate(findings):
        if finding.placed is not None:
            start, end = finding.placed
            text = before if number < own else after
            yield text[start:end], start if text == after else -1


def _without_replacements(journey: Journey, path: str, text: str) -> str:
    """*text* with a line break for each replacement: what begins in one and ends beside it is nobody's."""
    moved = []
    for replaced, start in sorted(_replacements(journey, path), key=lambda one: -one[1]):
        if start >= 0:
            text = f"{text[:start]}\n{text[start + len(replaced) :]}"
        elif len(replaced) >= _SHORTEST_MOVED:
            moved.append(replaced)
    for replaced in moved:  # a later control rewrote the text around it
        text = text.replace(replaced, "\n")
    return text


def _routed(journey: Journey) -> Iterator[Exposure]:
    reading = journey.reading
    assert reading is not None  # noqa: S101 - set before the first control ran
    message = reading.message
    routes = (
        *message.recipients,
        message.sender,
        *reading.senders,
        message.conversation,
        message.tenant,
        reading.message_key,
    )
    for one in routes:
        if one:
            yield from exposures(one)


def _as_if_masked(
    journey: Journey, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Under `monitor` the arguments hold the raw texts: what would have gone out without it is looked at."""
    reading, sealed, binding = journey.reading, journey.sealed_message, journey.plan.binding
    if isinstance(binding, SelectorBinding) and reading is not None and sealed is not None and (args or kwargs):
        return binding.write(reading, sealed, args, kwargs)
    return args, kwargs


def _others(journey: Journey, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Every argument that is not wholly a text or a route, by name."""
    reading, binding = journey.reading, journey.plan.binding
    if isinstance(binding, SelectorBinding) and reading is not None:
        yield from binding.others(reading, args, kwargs)
        return
    sealed = journey.sealed_message
    if sealed is not None and sealed.metadata:
        yield "metadata", sealed.metadata
    for number, value in enumerate(args):
        if type(value) is not type(sealed):
            yield f"argument {number + 1}", value
    yield from kwargs.items()


def _strings(journey: Journey, others: Iterable[tuple[str, object]], seen: frozenset[str]) -> list[tuple[str, str]]:
    """Every string below *others*, keys too, but for those that were *seen* as texts."""
    caps = journey.plan.caps
    found: list[tuple[str, str]] = []
    open_: list[tuple[str, object, int]] = [(name, value, 0) for name, value in others]
    entered: set[int] = set()
    characters = 0
    while open_:
        name, value, depth = open_.pop()
        if isinstance(value, str):
            text = str.__str__(value)
            characters += len(text)
            if characters > caps.argument_characters:
                raise Denied(f"more than {caps.argument_characters} characters in other arguments", control="caps")
            if text and text not in seen:
                found.append((name, text))
            continue
        children = _below(value)
        if children is None or id(value) in entered:
            continue
        entered.add(id(value))
        if len(found) + len(open_) + len(children) > caps.values:
            raise Denied(f"more than {caps.values} values in other arguments", control="caps")
        if depth >= caps.depth:
            raise Denied(f"an argument nested deeper than {caps.depth}", control="caps")
        open_ += [(name, child, depth + 1) for child in children]
    return found


def _below(value: object) -> list[object] | None:
    """What may hold strings in *value*; None for what is no container that we know."""
    if isinstance(value, dict):
        return [one for pair in dict.items(value) for one in pair if _may_speak(one)]
    if isinstance(value, MappingProxyType):
        return [one for pair in value.items() for one in pair if _may_speak(one)]
    if isinstance(value, list):
        return [one for one in list.__iter__(value) if _may_speak(one)]
    if isinstance(value, tuple):
        return [one for one in tuple.__iter__(value) if _may_speak(one)]
    if isinstance(value, set | frozenset):
        return [one for one in value if _may_speak(one)]
    names = field_names(value)
    if names is None:
        return None
    found = [one for name in names if _may_speak(one := getattr(value, name, None))]
    return [*found, *(text for _, text in texts_beside_fields(value, names))]


def _may_speak(value: object) -> bool:
    return not isinstance(value, int | float | bytes | None)
