"""
Which counters a message is counted on, as keyed digests: no identifier reaches a counter's key.

The key of a counter is an HMAC over layer, limit name, window and identifiers, each with its length. The amount is not in
it, so that a limit that becomes tighter goes on with what it has counted.
Recipients and senders are normalised first; a number without a known country counts together with the same digits after
a plus, so that leaving the plus out does not open a second counter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from guardrails.address import normalise
from guardrails.core.message import Message
from guardrails.errors import ControlError
from guardrails.keys import Digester
from guardrails.ratelimit.charge import Charge, Rule
from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.storage import WindowStorage

_REMEMBERED: Final = 4_096  # recent envelopes with their charges, per RateLimit
_REMEMBERED_CHARACTERS: Final = 512
_REMEMBERED_RECIPIENTS: Final = 8
_ENVELOPE: Final = ("recipients", "tenant", "conversation", "actor", "channel", "sender")


class Identity:
    """
    Reads the charges of a message.

    Args:
        rules: The limits.
        digester: Makes the keys.
        storage: Where counters of rehearsals in memory are kept.
    """

    __slots__ = ("_custom", "_digester", "_envelope", "_known", "_rehearsal", "_rules", "is_priced")

    def __init__(self, rules: Sequence[Rule], digester: Digester, storage: WindowStorage, /) -> None:
        self._rules = tuple(rules)
        self._rehearsal = tuple(rule.one_a_minute(storage) for rule in rules)
        self._digester = digester
        self.is_priced: bool = any(not isinstance(rule.limit.cost, int) for rule in rules)
        # Messages with the same envelope are charged alike, unless a function of the message decides.
        self._custom = any(callable(rule.limit.per) for rule in rules)
        used = {role for rule in rules for role in rule.limit.roles}
        if any(rule.limit.by_tenant for rule in rules):
            used.add("tenant")
        fields = tuple(field for field in _ENVELOPE if field.removesuffix("s") in used) or ("channel",)
        self._envelope = attrgetter(*fields)
        self._known: dict[tuple[str, object], tuple[Charge, ...]] = {}

    def with_rules(self, rules: Sequence[Rule], storage: WindowStorage) -> Identity:
        """Other limits under the same key."""
        return Identity(rules, self._digester, storage)

    def charges(self, message: Message, layer: str) -> tuple[Charge, ...]:
        """
        One charge for each limit, and for each recipient of those that count recipients.

        Raises:
            ControlError: The message lacks what a limit counts, or a function of a limit did not return a str.
        """
        envelope = self._envelope(message)
        charges = self._known.get((layer, envelope))
        if charges is None:
            charges = tuple(charge for rule in self._rules for charge in self._charged(rule, message, layer))
            if not self._custom and _is_small(message):
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[layer, envelope] = charges
        return charges

    def known(self, message: Message, layer: str) -> Iterator[Charge]:
        """As `charges`, for limits that count by what *message* has; the others are left out."""
        for rule in self._rules:
            try:
                yield from list(self._charged(rule, message, layer))
            except ControlError:
                continue

    def rehearsed(self, message: Message, layer: str, name: str) -> tuple[Charge, ...]:
        """As `charges`, on counters of the rehearsal *name* alone."""
        own = f"canary:{name}:{layer}"
        charges = [charge for rule in self._rehearsal for charge in self._charged(rule, message, own)]
        return tuple({charge.key: charge for charge in charges}.values())  # one recipient may stand in several places

    def _charged(self, rule: Rule, message: Message, layer: str) -> Iterator[Charge]:
        limit = rule.limit
        values = _values(limit, message)
        units = limit.cost if isinstance(limit.cost, int) else 1  # what depends on the text is known at the door
        if "recipient" not in limit.roles:
            yield Charge(rule, self._key(layer, limit, *values), units, 0)
            return
        if not message.recipients:
            raise ControlError(f"rate limit {limit.label!r} counts recipients, and this message has none")
        for position, recipient in enumerate(message.recipients, 1):
            yield Charge(rule, self._key(layer, limit, *values, _person(recipient)), units, position)

    def _key(self, layer: str, limit: Limit, *values: str | None) -> str:
        fields = (layer, limit.label, str(limit.window_seconds), limit.strategy, *values)
        return self._digester.digest("".join("-;" if one is None else f"{len(one)}:{one};" for one in fields)).hex()


def _is_small(message: Message) -> bool:
    fields = (*message.recipients, message.tenant, message.conversation, message.actor, message.channel, message.sender)
    return (
        len(message.recipients) <= _REMEMBERED_RECIPIENTS
        and sum(len(one) for one in fields if one is not None) <= _REMEMBERED_CHARACTERS
    )


def _person(address: str) -> str:
    found = normalise(address)
    if found.kind == "phone":
        return f"phone {found.value.lstrip('+0') or found.value}"
    return f"{found.kind} {found.value}"


def _values(limit: Limit, message: Message) -> list[str | None]:
    """What the limit counts besides recipients."""
    if callable(limit.per):
        value: object = limit.per(message)
        if not isinstance(value, str):
            raise ControlError(f"rate limit {limit.label!r}: per= must return a str, not {type(value).__name__}")
        return [str.__str__(value)]
    values: list[str | None] = [message.tenant] if limit.by_tenant else []
    for role in limit.roles:
        if role == "recipient":
            continue
        named: str | None = getattr(message, role)
        if named is None:
            raise ControlError(
                f"rate limit {limit.label!r} counts by {role}, and this message has none; "
                "name the parameter that holds it, or set it with guardrails.context()"
            )
        values.append(_person(named) if role == "sender" else named)
    return values
