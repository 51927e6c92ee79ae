"""
Layers over the platform: what a layer says against another (`differences`), and what holds when both apply (`met`).

An effective policy is the platform's settings, met with the channel's, the tenant's and the team's. Each `met` is at least
as tight as both sides, so the result is at least as tight as the platform, whoever says what in whichever order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from guardrails.policy.document import At
from guardrails.policy.order import UNRELATED, Order, PerEntity, Relation
from guardrails.policy.setting import Settings, forms_of

S = TypeVar("S", bound=Settings)


class Difference(NamedTuple):
    """
    What one layer says about one setting, against another's.

    Args:
        at: The setting, from the layer on.
        relation: Of what it says to what the other says.
        base: What the other says, or what holds when nobody does.
        other: What it says.
        order: Which way is tighter.
    """

    at: At
    relation: Relation
    base: Any
    other: Any
    order: Order


def differences(base: Settings, other: Settings, at: At = ()) -> Iterator[Difference]:
    """Everything that *other* says about something that *base* has too; what only *other* has is an addition."""
    forms = forms_of(type(other))
    for name, value in other.said():
        form = forms[name]
        known = getattr(base, name, None)
        here = (*at, name)
        holds, order = form.holds, form.order
        if form.direct:
            if known is not None:
                yield from differences(known, value, here)
        elif holds is not None and isinstance(value, dict):
            for key, one in value.items():
                if known is not None and key in known:
                    yield from differences(known[key], one, (*here, key))
        elif isinstance(order, PerEntity):
            for key, one in value.items():
                yield Difference(
                    (*here, key), order.compare_one(known or {}, key, one), order.standing(known or {}, key), one, order
                )
        else:
            standing = form.otherwise if known is None else known
            yield Difference(here, order.compare(standing, value), standing, value, order)


def met(base: S, other: Settings) -> S:
    """What holds when both apply; settings of *other* that *base*'s kind does not have are left out."""
    changed: dict[str, Any] = {}
    forms = forms_of(type(base))
    for name, value in other.said():
        form = forms.get(name)
        if form is None:
            continue
        known = getattr(base, name)
        holds, order = form.holds, form.order
        if form.direct:
            changed[name] = value if known is None else met(known, value)
        elif holds is not None and isinstance(value, dict):
            changed[name] = _met_by_name(known or {}, value)
        elif isinstance(order, PerEntity):
            changed[name] = order.meet(known or {}, value)
        else:
            standing = form.otherwise if known is None else known
            changed[name] = order.meet(standing, value) if standing is not None or _orders_nothing(order) else value
    return base.model_copy(update=changed) if changed else base


def _orders_nothing(order: Order) -> bool:
    """Whether None (nobody has said anything) has its place in *order*."""
    return None in getattr(order, "values", ())


def _met_by_name(base: Mapping[str, Settings], other: Mapping[str, Settings]) -> dict[str, Settings]:
    names = dict.fromkeys((*base, *other))
    return {
        name: met(base[name], other[name]) if name in base and name in other else base.get(name) or other[name]
        for name in names
    }


def disagreement(one: Settings, other: Settings) -> Difference | None:
    """A setting about which two layers say things that cannot hold together."""
    return next((found for found in differences(one, other) if found.relation is UNRELATED), None)
