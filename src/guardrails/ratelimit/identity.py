"""
Which counters a message is counted on, as keyed digests: no identifier reaches a counter's key.

The key of a counter is an HMAC over layer, limit name and identifiers, each with its length. The amount is not in it.
Recipients and senders are normalised first; a number without a known country counts together with the same digits after
a plus, so that leaving the plus out does not open a second counter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from guardrails.address import normalise
from guardrails.core.message import Message
from guardrails.errors import ControlError
from guardrails.keys import Digester
from guardrails.ratelimit.limit import Limit

if TYPE_CHECKING:
    from guardrails.ratelimit.ledger import Charge, Rule

_REMEMBERED: Final = 4_096  # digests of recent identifiers, per RateLimit
_REMEMBERED_CHARACTERS: Final = 512

Reader = Callable[[Message], tuple[str | None, ...]]


class Identity:
    """
    Reads the charges of a message.

    Args:
        rules: The limits.
        digester: Makes the keys.
    """

    __slots__ = ("_digester", "_known", "_readers", "_rules")

    def __init__(self, rules: Sequence[Rule], digester: Digester, /) -> None:
        self._rules = tuple(rules)
        self._readers = tuple(_reader(rule.limit) for rule in rules)
        self._digester = digester
        self._known: dict[tuple[object, ...], str] = {}

    def charges(self, message: Message, layer: str, make: type[Charge]) -> list[Charge]:
        """
        One charge for each limit, and for each recipient of those that count recipients.

        Raises:
            ControlError: The message lacks what a limit counts, or a function of a limit did not return a str.
        """
        charges = []
        for index, rule in enumerate(self._rules):
            limit = rule.limit
            values = self._readers[index](message)
            if "recipient" not in limit.roles:
                charges.append(make(rule, self._key(index, layer, values, None), limit.cost, 0))
                continue
            if not message.recipients:
                raise ControlError(f"rate limit {limit.label!r} counts recipients, and this message has none")
            for position, recipient in enumerate(message.recipients, 1):
                charges.append(make(rule, self._key(index, layer, values, recipient), limit.cost, position))
        return charges

    def _key(self, index: int, layer: str, values: tuple[str | None, ...], recipient: str | None) -> str:
        short = (index, layer, values, recipient)
        key = self._known.get(short)
        if key is not None:
            return key
        limit = self._rules[index].limit
        person = None if recipient is None else _person(recipient)
        fields = (layer, limit.label, *values, person)
        key = self._digester.digest("".join("-;" if one is None else f"{len(one)}:{one};" for one in fields)).hex()
        if sum(len(one) for one in (*values, recipient) if one is not None) <= _REMEMBERED_CHARACTERS:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[short] = key
        return key


def _person(address: str) -> str:
    found = normalise(address)
    if found.kind == "phone":
        return f"phone {found.value.lstrip('+0') or found.value}"
    return f"{found.kind} {found.value}"


def _reader(limit: Limit) -> Reader:
    """What the limit counts besides recipients."""
    if callable(limit.per):
        return _custom(limit, limit.per)
    roles = tuple(role for role in limit.roles if role != "recipient")
    by_tenant = limit.by_tenant
    if not roles:
        return (lambda message: (message.tenant,)) if by_tenant else (lambda _: ())

    def read(message: Message) -> tuple[str | None, ...]:
        values: list[str | None] = [message.tenant] if by_tenant else []
        for role in roles:
            value: str | None = getattr(message, role)
            if value is None:
                raise ControlError(
                    f"rate limit {limit.label!r} counts by {role}, and this message has none; "
                    f"name the parameter that holds it, or set it with guardrails.context()"
                )
            values.append(_person(value) if role == "sender" else value)
        return tuple(values)

    return read


def _custom(limit: Limit, per: Callable[[Message], str]) -> Reader:
    def read(message: Message) -> tuple[str | None, ...]:
        value = per(message)
        if not isinstance(value, str):
            raise ControlError(f"rate limit {limit.label!r}: per= must return a str, not {type(value).__name__}")
        return (str.__str__(value),)

    return read
