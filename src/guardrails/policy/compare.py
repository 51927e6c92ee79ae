"""What changes from one policy to another: for every layer, what is tighter, looser, or neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from guardrails.policy.document import At
from guardrails.policy.order import LOOSER, TIGHTER, UNRELATED, PerEntity, Relation
from guardrails.policy.setting import Settings, inner, order_of, otherwise, settings_in
from guardrails.policy.tightening import PLATFORM
from guardrails.policy.version import Version

_TURNED: Final = {TIGHTER: LOOSER, LOOSER: TIGHTER}


class Change(NamedTuple):
    """
    One setting that is another one.

    Args:
        at: The layer and the setting.
        relation: Of the new value to the old one.
        before: The old value; None where there was none.
        after: The new value; None where there is none any more.
    """

    at: At
    relation: Relation
    before: Any
    after: Any


def changes(before: Version, after: Version) -> Iterator[Change]:
    """Every difference, as messages meet it: first the platform's, then what differs besides for channels, tenants, teams."""
    if before.directs is not after.directs:
        before, after = before.in_both_directions(), after.in_both_directions()
    said = set()
    for change in _settings(before.platform, after.platform, (PLATFORM,)):
        said.add((change.at[1:], str(change.before), str(change.after)))
        yield change
    for section, role in (("channels", "channel"), ("tenants", "tenant"), ("teams", "team")):
        for name in dict.fromkeys((*before.known(section), *after.known(section))):
            who: dict[str, Any] = {"channel": None, "tenant": None, "team": None, role: name}
            old, old_own = before.effective(**who)
            new, new_own = after.effective(**who)
            for change in (
                *_settings(old, new, (section, name)),
                *_settings(old_own, new_own, (section, name)),
            ):
                if (change.at[2:], str(change.before), str(change.after)) not in said:
                    yield change


def _settings(old: Settings | None, new: Settings | None, at: At) -> Iterator[Change]:
    said = old or new
    if said is None:
        return
    added = type(said).added
    if added is None:
        old, new = old or type(said)(), new or type(said)()
    elif old is None or new is None:
        yield Change(at, added if old is None else _TURNED.get(added, added), old, new)
        return
    for name, field in type(said).model_fields.items():
        one, two = getattr(old, name, None), getattr(new, name, None)
        here = (*at, name)
        holds, order = settings_in(field.annotation), order_of(field)
        if holds is not None and inner(field.annotation) is holds:
            yield from _settings(one, two, here)
        elif holds is not None and isinstance(one or two, Mapping):
            for key in _keys(one, two):
                yield from _settings((one or {}).get(key), (two or {}).get(key), (*here, key))
            yield from _in_order(one or {}, two or {}, here)
        elif isinstance(order, PerEntity):
            for key in _keys(one, two):
                values = order.standing(one or {}, key), order.standing(two or {}, key)
                if values[0] != values[1]:
                    yield Change((*here, key), order.compare_one(one or {}, key, values[1]), *values)
        else:
            usual = otherwise(field)
            first, second = (usual if value is None else value for value in (one, two))
            if first != second:
                yield Change(here, order.compare(first, second), first, second)


def _in_order(one: Mapping[str, Any], two: Mapping[str, Any], here: At) -> Iterator[Change]:
    """Checks stand in the order of the file: the same ones in another order are something else."""
    before, after = [key for key in one if key in two], [key for key in two if key in one]
    if here[-1] == "checks" and before != after:
        yield Change(here, UNRELATED, before, after)


def _keys(*mappings: Mapping[str, Any] | None) -> list[str]:
    """Keys of all of them, each once, in order."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping or ()))
