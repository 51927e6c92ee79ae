"""
Where the arguments of a send lie, for one way to call it: how many are positional, and which keywords are named.

Worked out once for each way, so that a send pays for dict look-ups and not for `Signature.bind`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from guardrails.core.payload import select
from guardrails.core.roles import Roles
from guardrails.core.selectors import Selector

Plain: TypeAlias = tuple[str, int | str, int | str | None]  # text's parameter, its place, the recipient's place
Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]

ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one argument of a call shape lies: a position, or a keyword."""

    position: int | None = None
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class CallShape:
    """
    Where each root lies in one call shape.

    Args:
        slots: Root to a slot; to a tuple of them for `*args`, a dict of them for `**kwargs`, or a `LeftOut`.
        plain: Set when one plain text and at most one plain recipient is all that matters.
    """

    slots: Mapping[str, Any]
    plain: Plain | None

    def fetch(self, root: str, args: Args, kwargs: Kwargs) -> Any:
        """What a call of this shape gives for *root*, or `ABSENT`."""
        slot = self.slots.get(root, ABSENT)
        match slot:
            case Slot(position=int(position)):
                return args[position]
            case Slot(keyword=str(keyword)):
                return kwargs[keyword]
            case LeftOut(value):  # libraries mark with a bare object what was not given
                return ABSENT if type(value) is object else value
            case tuple():
                return args[slot[0].position :] if slot else ()
            case dict():
                return {name: kwargs[name] for name in slot}
            case _:
                return ABSENT


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A parameter that the call left out."""

    value: Any


def shape_of(signature: inspect.Signature, roles: Roles, args: Args, kwargs: Kwargs) -> CallShape:
    """
    Where the roots of *roles* lie in a call like this one.

    Raises:
        TypeError: The call does not fit the signature.
    """
    slots = [Slot(position=number) for number in range(len(args))]
    bound = signature.bind(*slots, **{name: Slot(keyword=name) for name in kwargs}).arguments
    extra = next((p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    found: dict[str, Any] = {}
    for root in roles.roots():
        parameter = signature.parameters.get(root)
        if root in bound:
            found[root] = bound[root]
        elif parameter is not None and parameter.default is not inspect.Parameter.empty:
            found[root] = LeftOut(parameter.default)
        elif extra is not None and root in bound.get(extra, {}):
            found[root] = bound[extra][root]
    return CallShape(found, _plain(roles, found))


def values_at(selector: Selector, shape: CallShape, args: Args, kwargs: Kwargs) -> list[object]:
    """Everything that *selector* selects in a call of this shape."""
    value = shape.fetch(selector.root, args, kwargs)
    return [] if value is ABSENT else select(value, selector.steps)


def _plain(roles: Roles, slots: Mapping[str, Any]) -> Plain | None:
    """The places of text and recipient, if nothing else has to be read in this call shape."""
    if len(roles.text) != 1 or len(roles.recipient) > 1:
        return None
    if roles.conversation or roles.tenant or roles.message_key or roles.sender:
        return None
    places: list[int | str] = []
    for selector in (*roles.text, *roles.recipient):
        slot = slots.get(selector.root)
        if selector.steps or not isinstance(slot, Slot):
            return None
        at = slot.keyword if slot.position is None else slot.position
        assert at is not None  # noqa: S101 - a slot has one of the two
        places.append(at)
    return roles.text[0].root, places[0], places[1] if roles.recipient else None
