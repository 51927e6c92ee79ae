"""Every bound of the audit log in one place (G11)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from guardrails.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    How much an audit log may hold and write.

    Args:
        record_bytes: One line. What does not fit is left out and counted in the record, never refused.
        in_flight: Sends whose outcome is not on record yet. One more is `Unavailable`.
        batch_records: Records in one write.
        decisions_waiting: Refusals that wait to be written, as records of their own.
        decisions_burst: Refusals that get a record of their own before they are counted together.
        decisions_per_second: Refusals a second that get a record of their own, after the burst.
        aggregate_seconds: How often refusals that are counted together are written.
        aggregate_keys: Kinds of refusals counted apart; all further kinds are counted as one.
        recipients: Recipients listed in one record; further ones are counted.
        message_keys: Message keys whose attempts are numbered; the one longest unused is forgotten first.
        cached_digests: Keyed digests of recipients that are remembered.
    """

    record_bytes: int = 16_384
    in_flight: int = 10_000
    batch_records: int = 1_024
    decisions_waiting: int = 1_000
    decisions_burst: int = 1_000
    decisions_per_second: int = 10
    aggregate_seconds: int = 10
    aggregate_keys: int = 32
    recipients: int = 50
    message_keys: int = 10_000
    cached_digests: int = 4_096

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"Bounds({bound.name}=...) must be an int of at least 1")
        if not 16_384 <= self.record_bytes <= 1_048_576:  # noqa: PLR2004 - named right here
            raise ConfigError("Bounds(record_bytes=...) must lie between 16,384 and 1,048,576 bytes")
        if self.recipients > self.record_bytes // 250 or self.aggregate_keys > self.record_bytes // 500:
            raise ConfigError(
                "Bounds: a record has 250 bytes for each of its recipients, 500 for each of its aggregate_keys"
            )
