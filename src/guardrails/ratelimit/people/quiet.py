"""
`QuietHours`: nothing at night, by the clock on the recipient's wall.

Asked on the way in, and again at the door. A message in quiet hours is not kept anywhere: `Deferred.not_before` says when it may
be tried again. Where no time would do (the zone is unknown, and it is night somewhere at any time) it is `Blocked`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Final

from guardrails import address
from guardrails.core.message import Message
from guardrails.core.trial import Trial
from guardrails.errors import Blocked, ConfigError, ControlError, Deferred
from guardrails.ratelimit.people.classes import Classes, ClassOf
from guardrails.ratelimit.people.clock import Hours
from guardrails.ratelimit.people.person import place
from guardrails.ratelimit.people.zones import Zone, Zones

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Outcome, Reply, Sealed
    from guardrails.ratelimit.replay import Replay

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ROUNDS: Final = 64  # each goes to the end of quiet hours in one more zone


class QuietHours:
    """
    Hours in which nothing is sent.

    Put it after the audit log, beside the other limits.

    Args:
        start: When they begin, such as "21:00".
        end: When they are over, such as "08:00"; over midnight where it is before *start*.
        zone: Whose clock: an IANA name for everybody; or a function of the recipient's address that returns one, or None if it
            does not know. Without it, and where the function does not know, the zones of the number's area.
            `metadata["time_zone"]` and `guardrails.ratelimit.time_zone` go before it, except before a name for everybody.
        unknown: Zones in which recipients of whom nothing is known may be: it has to be outside quiet hours in all of them.
            Without it such messages are `Blocked`, for it is night somewhere at any time.
        days: On which the hours begin: "mon" to "sun"; all of them unless given.
        classes: Message classes that they hold for; all, and messages without a class in any case, unless given.
        exempt: Message classes that go out all the same, such as "otp"; each is recorded.
        message_class: The class of a message; without it see `guardrails.ratelimit.message_class`.
        region: ISO 3166 country of numbers in national spelling.
        name: How errors and records call it.

    Raises:
        ConfigError: An argument is wrong.

    >>> QuietHours("21:00", "08:00", zone="Europe/Berlin")
    QuietHours(21:00 to 08:00)
    """

    kind: Final = "limit"
    needs: Final = ("recipient",)
    _replay: Replay | None = None

    def __init__(
        self,
        start: str | time,
        end: str | time,
        *,
        zone: Zone = None,
        unknown: Collection[str] = (),
        days: Collection[str] = _DAYS,
        classes: Collection[str] = (),
        exempt: Collection[str] = (),
        message_class: ClassOf | None = None,
        region: str | None = None,
        name: str = "quiet_hours",
    ) -> None:
        address.load()
        self.name = name
        if isinstance(days, str) or not days or not set(days) <= set(_DAYS):
            raise ConfigError(f"QuietHours: days is several of {', '.join(_DAYS)}")
        self._hours = Hours(_time(start), _time(end), frozenset(_DAYS.index(day) for day in days))
        if self._hours.start == self._hours.end:
            raise ConfigError("QuietHours: start and end are the same; to stop all sends, do not call them")
        self._zones = Zones(zone, unknown, region)
        self._classes = Classes("QuietHours", classes=classes, exempt=exempt, asked=message_class)

    def replayed(self, replay: Replay, /) -> QuietHours:
        """The same in a replay."""
        twin = copy.copy(self)
        twin._replay = replay  # noqa: SLF001 - same class
        return twin

    def now(self, io: Io) -> datetime:
        """Core's time, or that of a replay."""
        return io.now() if self._replay is None else self._replay.now()

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Defer what would arrive in quiet hours; look again at the door."""
        message = call.message
        if not self._classes.hold(call):
            return await forward(call)
        self.check(message, self.now(io))
        call.note("allow")
        if not call.dry_run:
            call.at_door(LookAgain(self, message))
        return await forward(call)

    @property
    def refuses_rehearsal(self) -> Trial:
        """At night."""
        return Trial(rehearsals=1, at=self.quiet_moment)

    def quiet_moment(self, message: Message) -> datetime | None:
        """The next time at which quiet hours begin for the first recipient of *message*; None where their zone is not known."""
        zones = self._zones.of(message.recipients[0], message) if message.recipients else ()
        return self._hours.begins(datetime.now(UTC), zones[0]) if zones else None

    def check(self, message: Message, now: datetime) -> None:
        """
        Refuse *message* if it is quiet for one of its recipients.

        Args:
            message: The message.
            now: The time (aware).

        Raises:
            Deferred: It is, until `not_before`.
            Blocked: It would be at any time, as far as is known.
        """
        if not message.recipients:
            raise ControlError("this message has no recipient; name the parameter that holds it, with recipient=")
        latest, who = now, 0
        for position, recipient in enumerate(message.recipients, 1):
            zones = self._zones.of(recipient, message)
            free = self._free_at(now, zones) if zones else None
            if free is None:
                known = "it is quiet at any time" if zones else "the time zone is not known"
                raise Blocked(f"quiet hours: {known} for recipient {place(position, message)}", findings={"QUIET_HOURS": 1})
            if free > latest:
                latest, who = free, position
        if who:
            raise Deferred(f"quiet hours ({self._said}) of recipient {place(who, message)}", not_before=latest)

    def _free_at(self, now: datetime, zones: Sequence[ZoneInfo]) -> datetime | None:
        """The first instant from *now* on that is outside in every zone."""
        at = now
        for _ in range(_ROUNDS):
            later = [self._hours.over(at, zone) for zone in zones]
            if any(one is None for one in later):
                return None
            latest = max(one for one in later if one is not None)
            if latest == at:
                return at
            at = latest
        return None

    @property
    def _said(self) -> str:
        return f"{self._hours.start:%H:%M} to {self._hours.end:%H:%M}"

    def __repr__(self) -> str:
        return f"QuietHours({self._said})"


class LookAgain:
    """Door step: quiet hours may have begun since the message came in."""

    __slots__ = ("_message", "_rule", "store")

    phase: str = "recheck"

    def __init__(self, rule: QuietHours, message: Message, /) -> None:
        self.store: object = rule
        self._rule = rule
        self._message = message

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - recipients stay
        """
        Look again, for this step and its peers.

        Raises:
            Deferred: It is quiet by now.
        """
        for step in (self, *peers):
            step._rule.check(step._message, step._rule.now(io))  # noqa: SLF001 - same class

    async def undo(self, io: Io, /) -> None:
        """Nothing was taken."""

    def settle(self, outcome: Outcome, /) -> None:
        """Not looked at."""


def _time(said: object) -> time:
    if isinstance(said, time) and said.tzinfo is None:
        return said.replace(second=0, microsecond=0)
    if isinstance(said, str) and len(said) == len("08:00"):
        try:
            return time() if said == "24:00" else time.fromisoformat(said)
        except ValueError:
            pass
    raise ConfigError('QuietHours: a time of day is written "21:00"')
