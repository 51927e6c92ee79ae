"""Every bound of the core in one place (G11). Over a cap is denied, never cut."""

from __future__ import annotations

from dataclasses import dataclass, fields

from guardrails.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """
    Bounds on one message. A message over any of them is `Denied`.

    Args:
        text_characters: All text parts together; also one reply that is to be masked.
        parts: Text parts of one message.
        depth: Nesting of a payload under a selector, codecs included.
        values: Values of any type under the selectors.
        recipients: Recipients of one message.
        argument_characters: Strings in arguments that no selector names, together.
        argument_stream_characters: A text argument that is an iterator is collected up to this, in as many pieces.
        id_characters: Conversation, tenant, actor, message key, each.
        notes: Notes that controls may leave about one message.
        steps: Door steps of one message.
    """

    text_characters: int = 262_144
    parts: int = 1_000
    depth: int = 32
    values: int = 10_000
    recipients: int = 1_000
    argument_characters: int = 16_777_216
    argument_stream_characters: int = 65_536
    id_characters: int = 1_024
    notes: int = 256
    steps: int = 256

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"Caps({bound.name}=...) must be an int of at least 1")
