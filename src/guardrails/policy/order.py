# ruff: noqa: D102 - an order's methods do what the protocol says
"""
What "tighter" means, setting by setting. Below the platform a setting may only become tighter.

Each order answers two questions about values of one setting: how *other* relates to *base*, and which value holds when two
layers have both said something (`meet`). For every order, and all values that it can compare:

1. `meet(a, b)` is no looser than a, and no looser than b.
2. `meet` does not care who comes first, but for values of equal strength: then the later layer's stands.

So whatever channel, tenant and team say, and in whatever order, a message has at most the freedom that the platform gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any, Final, Protocol

from guardrails.pii.lists import DENIED
from guardrails.policy.operator import OPERATORS, Operator
from guardrails.policy.values import DEFAULT, Rate, quiet_minutes, read_rate, read_window


class Relation(Enum):
    """How one value relates to another."""

    EQUAL = "equal"
    TIGHTER = "tighter"
    LOOSER = "looser"
    UNRELATED = "neither tighter nor looser"


EQUAL, TIGHTER, LOOSER, UNRELATED = Relation

_DAY: Final = 24 * 60  # minutes
_TURNED: Final = {EQUAL: EQUAL, TIGHTER: LOOSER, LOOSER: TIGHTER, UNRELATED: UNRELATED}


class Order(Protocol):
    """The order of one setting's values."""

    @property
    def says(self) -> str:
        """What is tighter, for people."""

    def compare(self, base: Any, other: Any, /) -> Relation:
        """How *other* relates to *base*."""

    def meet(self, base: Any, other: Any, /) -> Any:
        """The value that holds when both are said; *base* where they cannot be compared."""


class _Ordered(ABC):
    """`meet` of an order in which any two values can be compared, or the first one stands."""

    @abstractmethod
    def compare(self, base: Any, other: Any, /) -> Relation:
        """How *other* relates to *base*."""

    def meet(self, base: Any, other: Any, /) -> Any:
        return other if self.compare(base, other) in (TIGHTER, EQUAL) else base


class _Said(_Ordered):
    """An order in which nothing compares to what nobody has said."""

    def compare(self, base: Any, other: Any, /) -> Relation:
        if base is None or other is None:
            return EQUAL if base == other else UNRELATED
        return self.between(base, other)

    @abstractmethod
    def between(self, base: Any, other: Any, /) -> Relation:
        """The same, of two values."""


def _lower(base: Any, other: Any) -> Relation:
    return EQUAL if other == base else TIGHTER if other < base else LOOSER


class Fixed(_Ordered):
    """Has no order: below the platform it cannot be changed."""

    says: str = "cannot be changed below the platform"

    def compare(self, base: Any, other: Any, /) -> Relation:
        return EQUAL if base == other else UNRELATED


class Lower(_Said):
    """Numbers: lower is tighter."""

    says: str = "a lower value is tighter"

    def between(self, base: Any, other: Any, /) -> Relation:
        return _lower(base, other)


class Ranked(_Ordered):
    """A few values, from the loosest to the tightest."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        words = [str(value).lower() if isinstance(value, bool) else f'"{value}"' for value in values]
        self.says: str = f"{' < '.join(words)} (the last is tightest)"

    def compare(self, base: Any, other: Any, /) -> Relation:
        if base not in self.values or other not in self.values:
            return EQUAL if base == other else UNRELATED
        return _lower(self.values.index(other), self.values.index(base))


class More:
    """Sets: more members are tighter; what several layers say is put together."""

    says: str = "more are tighter"

    def compare(self, base: Collection[Any], other: Collection[Any], /) -> Relation:
        return _by_inclusion(set(base), set(other))

    def meet(self, base: Collection[Any], other: Collection[Any], /) -> list[Any]:
        return list(dict.fromkeys((*base, *other)))


class DeniedWords:
    """Words that are always masked, by entity: more are tighter."""

    says: str = More.says

    def compare(self, base: Any, other: Any, /) -> Relation:
        return _by_inclusion(self._pairs(base), self._pairs(other))

    def meet(self, base: Any, other: Any, /) -> Any:
        if not isinstance(base, Mapping) and not isinstance(other, Mapping):
            return list(dict.fromkeys((*base, *other)))
        met: dict[str, list[str]] = {}
        for said in (base, other):
            for entity, words in self._by_entity(said).items():
                met[entity] = list(dict.fromkeys((*met.get(entity, ()), *words)))
        return met

    @staticmethod
    def _by_entity(said: Any) -> Mapping[str, Collection[str]]:
        return said if isinstance(said, Mapping) else {DENIED: said} if said else {}

    def _pairs(self, said: Any) -> set[Any]:
        return {(entity, word) for entity, words in self._by_entity(said).items() for word in words}


class Names(_Ordered):
    """Who finds names: nobody, the model, or also a spaCy model."""

    says: str = '"off" < "model" < "spacy:PACKAGE" (the last is tightest)'

    def compare(self, base: str, other: str, /) -> Relation:
        if base == other:
            return EQUAL
        one, two = (("off", "model").index(said) if said in ("off", "model") else 2 for said in (base, other))
        return UNRELATED if one == two else TIGHTER if two > one else LOOSER


class Fewer:
    """Sets: fewer members are tighter; what not all layers say is left out."""

    says: str = "fewer are tighter"

    def compare(self, base: Collection[Any], other: Collection[Any], /) -> Relation:
        return _TURNED[_by_inclusion(set(base), set(other))]

    def meet(self, base: Collection[Any], other: Collection[Any], /) -> list[Any]:
        return [one for one in base if one in other]


class MoreOrAll:
    """Sets: more members are tighter, and an empty one is tightest: it stands for everything, or leaves nothing open."""

    says: str = "more are tighter, and none at all is tightest"

    def compare(self, base: Collection[Any], other: Collection[Any], /) -> Relation:
        if not base or not other:
            return EQUAL if not base and not other else LOOSER if other else TIGHTER
        return _by_inclusion(set(base), set(other))

    def meet(self, base: Collection[Any], other: Collection[Any], /) -> list[Any]:
        return list(dict.fromkeys((*base, *other))) if base and other else []


class QuietTimes:
    """Hours of a day: those that begin no later and end no earlier are tighter."""

    says: str = "hours that hold the platform's are tighter"

    def compare(self, base: str | None, other: str | None, /) -> Relation:
        if base is None or other is None:
            return EQUAL if base == other else UNRELATED
        (begin, end), (begins, ends) = quiet_minutes(base), quiet_minutes(other)
        if (begin, end) == (begins, ends):
            return EQUAL
        if begins <= begin and end <= ends:
            return TIGHTER
        return LOOSER if begin <= begins and ends <= end else UNRELATED

    def meet(self, base: str | None, other: str | None, /) -> str | None:
        if base is None or other is None:
            return base or other
        (begin, end), (begins, ends) = quiet_minutes(base), quiet_minutes(other)
        if begins > end or begin > ends:
            return base  # apart: never of one platform's
        first, last = min(begin, begins), max(end, ends)
        if last - first >= _DAY:
            return "00:00-24:00"  # no time is left: refused where the control is made
        return f"{first // 60:02}:{first % 60:02}-{last % _DAY // 60:02}:{last % 60:02}"


class Caps(_Said):
    """Messages by calendar: fewer in the same period are tighter. Another period is another cap."""

    says: str = "fewer in the same period are tighter; for another period add another cap"

    def between(self, base: str, other: str, /) -> Relation:
        (one, unit), (two, other_unit) = read_rate(base), read_rate(other)
        return _lower(one, two) if unit == other_unit else UNRELATED


class Windows(_Said):
    """Lengths of a window in which people are counted: a longer one is tighter."""

    says: str = "a longer window is tighter"

    def between(self, base: str, other: str, /) -> Relation:
        return _lower(read_window(other), read_window(base))


class Rates(_Said):
    """Rates over the same window: fewer units are tighter. Another window is another limit."""

    says: str = "fewer units in the same window are tighter; for another window add another limit"

    def between(self, base: str, other: str, /) -> Relation:
        one, two = Rate(base), Rate(other)
        return _lower(one.amount, two.amount) if one.window_seconds == two.window_seconds else UNRELATED


class Operators(_Ordered):
    """What becomes of a value that was found: the less of it is left, the tighter."""

    says: str = f"{' < '.join(OPERATORS)} (the last is tightest); a smaller keep_last is tighter"

    def compare(self, base: Operator, other: Operator, /) -> Relation:
        return _lower(other.tightness, base.tightness)


class PerEntity:
    """
    A mapping of entity to value, where `DEFAULT` stands for all that are not named.

    Args:
        of: The order of the values.
        otherwise: What holds for entities when a layer names neither them nor `DEFAULT`; None when only the control knows,
            and then nothing compares to it.
    """

    def __init__(self, of: Order, *, otherwise: Any = None) -> None:
        self._of = of
        self._otherwise = otherwise
        self.says: str = f"by entity: {of.says}"

    def compare(self, base: Mapping[str, Any], other: Mapping[str, Any], /) -> Relation:
        found = {self._compared(self.standing(base, key), self.standing(other, key)) for key in (*base, *other, DEFAULT)}
        found.discard(EQUAL)
        return EQUAL if not found else found.pop() if len(found) == 1 else UNRELATED

    def compare_one(self, base: Mapping[str, Any], key: str, value: Any) -> Relation:
        """How *value* for one entity relates to what *base* says about it."""
        return self._compared(self.standing(base, key), value)

    def _compared(self, known: Any, value: Any) -> Relation:
        if known is None or value is None:
            return EQUAL if known == value else UNRELATED
        return self._of.compare(known, value)

    def meet(self, base: Mapping[str, Any], other: Mapping[str, Any], /) -> dict[str, Any]:
        said = {**dict.fromkeys(base), **self._said(base, other)}
        met: dict[str, Any] = {}
        for key, value in said.items():
            known = self.standing(base, key)
            met[key] = known if value is None else value if known is None else self._of.meet(known, value)
        return met

    def _said(self, base: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        """What *other* says, also by its `DEFAULT` about entities that *base* names."""
        if DEFAULT not in other:
            return dict(other)
        return {**dict.fromkeys(base, other[DEFAULT]), **other}

    def standing(self, base: Mapping[str, Any], key: str) -> Any:
        """What *base* says about one entity."""
        return base.get(key, base.get(DEFAULT, self._otherwise))


def _by_inclusion(base: set[Any], other: set[Any]) -> Relation:
    if base == other:
        return EQUAL
    if base < other:
        return TIGHTER
    return LOOSER if other < base else UNRELATED
