"""
Which guards there are, whose they are, and what is in them. (`told` has what an audit log tells of them.)

Two guards whose limits have one name and different amounts, or whose masks look for different things, *drift*: somebody changed
one of them and not the other. That is said, with file and line of both.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails.core.stack import where_is
from guardrails.proof.place import relative

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.core.stack import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlEntry:
    """
    One control of a guard.

    Args:
        name: As in errors and records.
        layer: "platform" or "team".
        kind: "record", "limit", "mask" or "check".
        where: `file:line` of where it is given to its guard; of its code where that cannot be told.
        monitored: Whether it only watches.
        settings: What it is set to.
    """

    name: str
    layer: str
    kind: str
    where: str
    monitored: bool
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEntry:
    """
    One guarded send.

    Args:
        operation: `module:qualname`.
        channel: Its channel.
        where: `file:line` of its code.
        reply: How its reply is treated.
    """

    operation: str
    channel: str
    where: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardEntry:
    """
    One guard.

    Args:
        where: `file:line` of the code that made it.
        owner: Who answers for it.
        channel: Its channel.
        layer: "platform", or "team" where it extends another.
        extends: `file:line` of that other guard; None for a platform guard.
        policy: Digest of the policy that it was made from.
        controls: Its own controls, outermost first; a team's without the platform's.
        sends: What it decorates.
    """

    where: str
    owner: str | None
    channel: str
    layer: str
    extends: str | None
    policy: str | None
    controls: Sequence[ControlEntry]
    sends: Sequence[SendEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """
    Settings that should be alike, and are not.

    Args:
        what: Such as "limit recipient/minute".
        usual: What most have.
        odd: What this one has.
        where: `file:line` of the odd one.
        owner: Whose it is.
        others: How many have the usual.
    """

    what: str
    usual: str
    odd: str
    where: str
    owner: str | None
    others: int

    def __str__(self) -> str:
        owner = self.owner or "nobody"
        return f"{self.where}: {self.what} is {self.odd}; {self.others} others have {self.usual} (owner: {owner})"


@dataclass(frozen=True, slots=True)
class Inventory:
    """
    Everything that was found.

    Args:
        guards: By file and line.
        drifts: What differs.
    """

    guards: Sequence[GuardEntry]
    drifts: Sequence[Drift] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"guards": [asdict(guard) for guard in self.guards], "drifts": [asdict(drift) for drift in self.drifts]}

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        for guard in self.guards:
            extends = f" extends {guard.extends}" if guard.extends else ""
            yield f"{guard.where}: {guard.layer} guard, {guard.channel}, owner {guard.owner or 'nobody'}{extends}"
            if guard.policy:
                yield f"    policy {guard.policy}"
            for control in guard.controls:
                told = ", ".join(f"{name} {_shown(value)}" for name, value in control.settings.items())
                watches = " (watches only)" if control.monitored else ""
                yield f"    {control.kind:6} {control.name}{watches}: {told or 'no settings'}  [{control.where}]"
            for send in guard.sends:
                yield f"    send   {send.operation} on {send.channel}  [{send.where}]"
        owners = Counter(guard.owner or "nobody" for guard in self.guards)
        yield f"{len(self.guards)} guards: " + ", ".join(f"{owner} {count}" for owner, count in sorted(owners.items()))
        for drift in self.drifts:
            yield f"DRIFT {drift}"


def inventory(guards: Iterable[Guard]) -> Inventory:
    """What *guards* and the guards that extend them are made of."""
    everyone = [one for guard in guards for one in guard.family]
    entries = [_entry(guard) for guard in dict.fromkeys(everyone)]
    entries.sort(key=lambda entry: _place(entry.where))
    return Inventory(entries, list(_drifts(entries)))


def _place(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return file, int(line) if line.isdigit() else 0


def _entry(guard: Guard) -> GuardEntry:
    parent = guard.parent
    above = {id(slot.control) for stack in parent.stacks for slot in stack.slots} if parent is not None else set()
    slots = {id(slot.control): slot for stack in guard.stacks for slot in stack.slots if id(slot.control) not in above}
    lines = _argument_lines(guard.where)
    controls = [_control(slot, number, lines, guard.where) for number, slot in enumerate(slots.values())]
    return GuardEntry(
        where=_relative(guard.where),
        owner=guard.owner,
        channel=guard.channel,
        layer="platform" if parent is None else "team",
        extends=None if parent is None else _relative(parent.where),
        policy=guard.policy,
        controls=controls,
        sends=[
            SendEntry(
                operation=plan.operation,
                channel=plan.channel,
                where=_relative(":".join(where_is(plan.send).split(":")[:2])),
                reply=plan.reply,
            )
            for plan in guard.plans
        ],
    )


def _control(slot: Slot, number: int, lines: Sequence[int], where: str) -> ControlEntry:
    at = f"{where.rpartition(':')[0]}:{lines[number]}" if number < len(lines) else where
    return ControlEntry(
        name=slot.name,
        layer=slot.layer,
        kind=slot.kind or "check",
        where=_relative(at),
        monitored=slot.monitored,
        settings=settings_of(slot.control),
    )


def settings_of(control: Any) -> dict[str, Any]:
    """What a control says that it is set to, as far as it shows it."""
    told: dict[str, Any] = {}
    limits = getattr(control, "limits", None)
    if isinstance(limits, tuple):
        told |= {f"limit {limit.label}": limit.rate for limit in limits if hasattr(limit, "rate")}
    entities = getattr(control, "entities", None)
    if isinstance(entities, frozenset):
        told["entities"] = sorted(entities)
    folder = getattr(control, "folder", None)
    if isinstance(folder, Path):
        told["folder"] = str(folder)
    function = getattr(control, "function", None)
    if function is not None:
        told["function"] = _relative(":".join(where_is(function).split(":")[:2]))
    refuses = getattr(control, "refuses", None)
    if isinstance(refuses, tuple) and function is not None:
        told["refuses"] = f"{len(refuses)} examples"
    return told


def _argument_lines(where: str) -> list[int]:
    """The lines of the positional arguments of the call that made a guard; of a name, where it was assigned."""
    file, line = _place(where)
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.lineno == line]
    calls = [call for call in calls if isinstance(call.func, ast.Attribute | ast.Name) and call.args] or calls
    if not calls:
        return []
    call = max(calls, key=lambda one: (one.end_lineno or 0, -len(ast.dump(one))))
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return []
    assigned = {
        target.id: node.lineno
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        assigned.get(argument.id, argument.lineno) if isinstance(argument, ast.Name) else argument.lineno
        for argument in call.args
    ]


def _drifts(entries: Sequence[GuardEntry]) -> Iterator[Drift]:
    told: dict[str, list[tuple[str, ControlEntry, GuardEntry]]] = defaultdict(list)
    for entry in entries:
        for control in entry.controls:
            if control.kind == "limit":
                for name, value in control.settings.items():
                    if name.startswith("limit "):
                        told[f"{control.layer} {name}"].append((str(value), control, entry))
            elif control.kind == "mask" and "entities" in control.settings:
                told["entities of the mask"].append((_shown(control.settings["entities"]), control, entry))
            if control.kind in ("limit", "mask"):
                told[f"{control.kind} {control.name} acts"].append((str(not control.monitored), control, entry))
    for what, found in sorted(told.items()):
        counts = Counter(value for value, _, _ in found)
        (usual, most), *_ = counts.most_common()
        for value, control, entry in found:
            if value != usual and most > counts[value]:
                yield Drift(what=what, usual=usual, odd=value, where=control.where, owner=entry.owner, others=most)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _relative(where: str) -> str:
    file, colon, line = where.rpartition(":")
    return f"{relative(file)}{colon}{line}"
