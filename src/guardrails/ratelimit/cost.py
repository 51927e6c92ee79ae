"""
What a message costs where that depends on its text: known at the door, from the text that is really sent.

On the way in such a cost counts as one unit: masking may shorten a text, and a message that would fit must not be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from guardrails.core.message import Message
from guardrails.errors import ControlError
from guardrails.ratelimit.limit import MAX_AMOUNT, Limit
from guardrails.segments import segments

if TYPE_CHECKING:
    from guardrails.ratelimit.ledger import Charge

_BYTES_A_TOKEN: Final = 4


def tokens(message: Message) -> int:
    """An estimate: four bytes of UTF-8 to a token, rounded up. For an exact count pass your tokenizer's as `cost`."""
    size = len(message.text.encode("utf-8", "surrogatepass"))
    return max(1, -(-size // _BYTES_A_TOKEN))


def _segments(message: Message) -> int:
    return sum(segments(text) for text in message.parts.values()) or 1


_NAMED: Final[dict[str, Callable[[Message], int]]] = {"segments": _segments, "tokens": tokens}


def priced(charges: Sequence[Charge], message: Message) -> Sequence[Charge]:
    """
    The same charges with what *message* costs.

    Raises:
        ControlError: A function of a limit returned something else than an int of at least 1.
    """
    costs: dict[str, int] = {}
    found = []
    for charge in charges:
        limit = charge.rule.limit
        if isinstance(limit.cost, int):
            found.append(charge)
            continue
        units = costs.get(limit.label)
        if units is None:
            units = costs[limit.label] = _cost(limit, message)
        found.append(charge._replace(units=units))
    return found


def _cost(limit: Limit, message: Message) -> int:
    asked = _NAMED[limit.cost] if isinstance(limit.cost, str) else limit.cost
    units: object = asked(message) if callable(asked) else asked
    if type(units) is not int or not 1 <= units <= MAX_AMOUNT:
        raise ControlError(f"rate limit {limit.label!r}: cost= must return an int of at least 1")
    return units
