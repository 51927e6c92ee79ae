"""
The time zone of a recipient: what the caller says, what a resolver knows, or a hint from the number.

Numbers move with people, so the region of a number is a hint only, and one that names several zones means all of them.
Where nothing is known the strictest of the zones holds in which recipients may be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from guardrails.core.message import Message
from guardrails.errors import ConfigError, ControlError
from guardrails.ratelimit.people.person import parsed

Zone: TypeAlias = str | Callable[[str], str | None] | None

_UNKNOWN: Final = "Etc/Unknown"  # what phonenumbers says
_current: Final[ContextVar[ZoneInfo | None]] = ContextVar("guardrails_time_zone", default=None)


@contextmanager
def time_zone(name: str) -> Iterator[None]:
    """
    Say in which time zone the recipients of every send in this block are.

    Args:
        name: An IANA name, such as "Europe/Berlin".

    Raises:
        ConfigError: There is no such zone.
    """
    token = _current.set(zone_named(name))
    try:
        yield
    finally:
        _current.reset(token)


def zone_named(name: object) -> ZoneInfo:
    """
    The zone of that name.

    Raises:
        ConfigError: There is none, or this machine has no time zones.
    """
    try:
        return ZoneInfo(name) if isinstance(name, str) else ZoneInfo("")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        raise ConfigError(
            'this machine has no time zones: it needs the extra "people": pip install "platform-guardrails[people]"'
        ) from None
    raise ConfigError('a time zone is an IANA name, such as "Europe/Berlin"')


class Zones:
    """
    Which zones a recipient may be in.

    Args:
        zone: One for all, a function of the recipient's address (as the send was given it), or None: only the number hints.
        unknown: Zones in which recipients of whom nothing is known may be.
        region: ISO 3166 country of numbers in national spelling.

    Raises:
        ConfigError: A name is none.
    """

    __slots__ = ("_ask", "_fixed", "_region", "_unknown")

    def __init__(self, zone: Zone, unknown: Collection[str], region: str | None) -> None:
        if isinstance(unknown, str):
            raise ConfigError(f"unknown= takes several time zones: write ({unknown!r},)")
        self._fixed = (zone_named(zone),) if isinstance(zone, str) else None
        if not isinstance(zone, str) and zone is not None and not callable(zone):
            raise ConfigError("zone= is an IANA name, a function of the recipient's address, or None")
        self._ask = zone if callable(zone) else None
        self._unknown = tuple(map(zone_named, unknown))
        self._region = region
        if self._fixed is None:
            _hint("+12125550173")  # loads the table now, not with the first send

    @property
    def is_fixed(self) -> bool:
        """Whether one zone is everybody's."""
        return self._fixed is not None

    def of(self, recipient: str, message: Message) -> Sequence[ZoneInfo]:
        """
        Zones in which *recipient* may be; all of them count. None at all: nothing is known.

        Raises:
            ControlError: What the caller or the resolver says is no zone.
        """
        if self._fixed is not None:
            return self._fixed
        said: object = _current.get() or message.metadata.get("time_zone")
        if said is None and self._ask is not None:
            said = self._ask(recipient)
        if said is not None:
            return (said,) if isinstance(said, ZoneInfo) else (_checked(said),)
        address = parsed(recipient, region=self._region)
        hinted = _hint(address.value) if address.kind == "phone" and address.parsed else ()
        return hinted or self._unknown

    @property
    def any_of(self) -> Sequence[ZoneInfo]:
        """The one zone of everybody; empty when there is none."""
        return self._fixed or ()


def _checked(name: object) -> ZoneInfo:
    try:
        return zone_named(name)
    except ConfigError:
        pass
    raise ControlError('the time zone of a recipient is no IANA name, such as "Europe/Berlin"')


@lru_cache(maxsize=4_096)
def _hint(number: str) -> tuple[ZoneInfo, ...]:
    """The zones of a number's area, by phonenumbers; empty where it knows none, or one that this machine does not."""
    import phonenumbers  # noqa: PLC0415 - heavy, and not needed at import
    from phonenumbers.timezone import time_zones_for_geographical_number, time_zones_for_number  # noqa: PLC0415

    parsed_number = phonenumbers.parse(number)
    names = time_zones_for_number(parsed_number)
    if _UNKNOWN in names:  # not assigned, as far as it knows: then the zones of what it begins with
        names = time_zones_for_geographical_number(parsed_number)
    if _UNKNOWN in names:
        return ()
    try:
        return tuple(ZoneInfo(name) for name in names)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ()
