"""What a send is about to send: text parts and who they are for. Frozen; its repr shows sizes and types, never text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias, final

from guardrails.errors import ConfigError

Envelope: TypeAlias = tuple[str, str, str | None, str | None, str | None, str | None, Mapping[str, Any]]

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_PATH: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.#|\[\]']{0,255}")  # what binding makes; a user's own keys may be anything
DIRECTIONS: Final = ("outbound", "inbound")
HANDOFF: Final = "handoff"  # the channel of what goes from one channel to another, see `guardrails.context`


@final
class Message:  # noqa: PLW1641 - compared by value, and metadata may hold anything
    """
    One message: its text parts and its envelope.

    Args:
        parts: The texts by path, such as `{"subject": ..., "body": ...}`; a single `str` is the part `"text"`.
        channel: `"sms"`, `"email"`, `"llm"`, or any name that you use consistently.
        direction: `"outbound"` or `"inbound"`.
        recipients: Who receives it, as the send was given them; one `str` is one recipient.
        sender: Who it is from.
        conversation: Opaque id of the conversation.
        tenant: Opaque id of the tenant.
        actor: Opaque id of whoever (or whatever agent) sends it.
        metadata: Anything else that controls may need; never recorded.

    Raises:
        ConfigError: A field has the wrong type.

    >>> Message("hello", channel="sms", recipients="+12125550173")
    Message(parts={'text': 5 chars}, channel='sms', direction='outbound', recipients=1)
    """

    __slots__ = ("_envelope", "parts", "recipients")

    parts: Mapping[str, str]
    recipients: tuple[str, ...]
    # Channel, direction, sender, conversation, tenant, actor, metadata: one tuple, which most messages of a send share.
    _envelope: Envelope

    def __init__(
        self,
        parts: str | Mapping[str, str],
        *,
        channel: str,
        direction: str = "outbound",
        recipients: str | Iterable[str] = (),
        sender: str | None = None,
        conversation: str | None = None,
        tenant: str | None = None,
        actor: str | None = None,
        metadata: Mapping[str, Any] = EMPTY,
    ) -> None:
        named = {"text": parts} if isinstance(parts, str) else parts
        if not isinstance(named, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in named.items()):
            raise ConfigError("Message parts must be a str or a mapping of path to str")
        if not isinstance(recipients, Iterable):
            raise ConfigError("Message recipients must be a str or an iterable of str")
        if not isinstance(metadata, Mapping):
            raise ConfigError("Message metadata must be a mapping")
        people = (recipients,) if isinstance(recipients, str) else tuple(recipients)
        if not all(isinstance(person, str) for person in people):
            raise ConfigError("Message recipients must be a str or an iterable of str")
        if not isinstance(channel, str) or not channel:
            raise ConfigError("Message channel must be a non-empty str")
        if direction not in DIRECTIONS:
            raise ConfigError(f"Message direction must be one of {DIRECTIONS}")
        for name, value in (("sender", sender), ("conversation", conversation), ("tenant", tenant), ("actor", actor)):
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"Message {name} must be a str or None")
        # An exact copy of each text: a str subclass could answer differently to different readers.
        _set_parts(self, MappingProxyType({str.__str__(path): str.__str__(text) for path, text in named.items()}))
        _set_recipients(self, tuple(str.__str__(person) for person in people))
        _set_envelope(self, (channel, direction, sender, conversation, tenant, actor, MappingProxyType(dict(metadata))))

    @property
    def channel(self) -> str:
        """What kind of message it is: "sms", "email", "llm", ..."""
        return self._envelope[0]

    @property
    def direction(self) -> str:
        """`"outbound"` or `"inbound"`."""
        return self._envelope[1]

    @property
    def sender(self) -> str | None:
        """Who it is from."""
        return self._envelope[2]

    @property
    def conversation(self) -> str | None:
        """Opaque id of the conversation."""
        return self._envelope[3]

    @property
    def tenant(self) -> str | None:
        """Opaque id of the tenant."""
        return self._envelope[4]

    @property
    def actor(self) -> str | None:
        """Opaque id of whoever sends it."""
        return self._envelope[5]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Anything else that controls may need."""
        return self._envelope[6]

    @property
    def text(self) -> str:
        """The parts joined by newlines."""
        return "\n".join(self.parts.values())

    @property
    def recipient(self) -> str | None:
        """The only recipient, or the first of several; None without one."""
        return self.recipients[0] if self.recipients else None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Message is frozen; make a new one instead of setting {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"Message is frozen; {name!r} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return (self.parts, self.recipients, self._envelope) == (other.parts, other.recipients, other._envelope)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_revive, (dict(self.parts), self.recipients, *self._envelope[:-1], dict(self.metadata)))

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{path if _PATH.fullmatch(path) else f'#{number}'!r}: {len(text)} chars"
            for number, (path, text) in enumerate(self.parts.items())
        )
        return (
            f"Message(parts={{{sizes}}}, channel={self.channel!r}, direction={self.direction!r}, "
            f"recipients={len(self.recipients)})"
        )


_set_parts: Final = Message.parts.__set__  # type: ignore[attr-defined, misc]  # a slot's descriptor, typed as its value
_set_recipients: Final = Message.recipients.__set__  # type: ignore[attr-defined, misc]
_set_envelope: Final = Message._envelope.__set__  # type: ignore[attr-defined, misc]  # noqa: SLF001 - same module
_new: Final = object.__new__


def assemble(parts: dict[str, str], recipients: tuple[str, ...], envelope: Envelope) -> Message:
    """A message from values that binding has already checked: the send path pays for no second look."""
    message = _new(Message)
    _set_parts(message, MappingProxyType(parts))
    _set_recipients(message, recipients)
    _set_envelope(message, envelope)
    return message


def with_parts(message: Message, parts: Mapping[str, str]) -> Message:
    """The same envelope around other texts."""
    return assemble(dict(parts), message.recipients, message._envelope)  # noqa: SLF001 - same module


def _revive(
    parts: dict[str, str],
    recipients: tuple[str, ...],
    channel: str,
    direction: str,
    sender: str | None,
    conversation: str | None,
    tenant: str | None,
    actor: str | None,
    metadata: dict[str, Any],
) -> Message:
    return Message(
        parts,
        channel=channel,
        direction=direction,
        recipients=recipients,
        sender=sender,
        conversation=conversation,
        tenant=tenant,
        actor=actor,
        metadata=metadata,
    )


class Text:
    """Marks a parameter as text: `Annotated[str, Text]`."""


class Recipient:
    """Marks a parameter as the recipient: `Annotated[str, Recipient]`."""


class Conversation:
    """Marks a parameter as the conversation id: `Annotated[str, Conversation]`."""


class Tenant:
    """Marks a parameter as the tenant id: `Annotated[str, Tenant]`."""
