"""From the arguments of a call to a message, and back: what a binding is, and the two that need no selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from guardrails.core.call_shape import Args, CallShape, Kwargs
from guardrails.core.caps import Caps
from guardrails.core.context import current as current_ids
from guardrails.core.message import Message
from guardrails.core.payload import Place
from guardrails.core.verdict import Coverage
from guardrails.errors import ControlError, Denied

_ONE_TEXT: Final = Coverage(1)
_NO_COVERAGE: Final[dict[str, int]] = {}


class Binder(Protocol):
    """The escape hatch: a send whose arguments no selector can describe."""

    def read(self, args: Args, kwargs: Kwargs) -> Message:
        """The message in these arguments."""

    def write(self, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """The arguments with *message* in them."""


class Reading:
    """
    What one call's arguments say.

    Attributes:
        message: The message.
        shape: Where the arguments of this call shape lie.
        places: Path to (parameter, way to the text); None when every text is a parameter itself.
        message_key: The caller's key for repeated attempts.
        senders: Who sends it, and who is answered.
        unscanned: Type name to number of values under a selector that are not text.
        iterators: Text arguments that arrive in pieces, by parameter.
    """

    places: Mapping[str, tuple[str, Place]] | None = None
    message_key: str | None = None
    senders: tuple[str, ...] = ()
    unscanned: Mapping[str, int] = _NO_COVERAGE
    iterators: Mapping[str, Any] | None = None

    def __init__(self, message: Message, shape: CallShape | None = None) -> None:
        self.message = message
        self.shape = shape

    def coverage(self) -> Coverage:
        """For the record."""
        if not self.unscanned and len(self.message.parts) == 1:
            return _ONE_TEXT
        return Coverage(len(self.message.parts), dict(self.unscanned))


class Binding(Protocol):
    """How a guard reads and writes one send's arguments."""

    def read(self, args: Args, kwargs: Kwargs) -> Reading:
        """The message in a call."""

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """The call's arguments with *message* in them."""


class CustomBinding:
    """Reads and writes by a user's `Binder`."""

    def __init__(self, binder: Binder, *, caps: Caps) -> None:
        self._binder = binder
        self._caps = caps

    def read(self, args: Args, kwargs: Kwargs) -> Reading:
        """The message that the binder finds."""
        message = self._binder.read(args, kwargs)
        if not isinstance(message, Message):
            raise ControlError(f"bind.read must return a Message, not {type(message).__name__}", control="binding")
        return Reading(checked(message, self._caps))

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:  # noqa: ARG002
        """The arguments that the binder makes."""
        written = self._binder.write(message, args, kwargs)
        match written:
            case (tuple() as new_args, dict() as new_kwargs):
                return new_args, new_kwargs
            case _:
                raise ControlError("bind.write must return (args tuple, kwargs dict)", control="binding")


class MessageBinding:
    """For `run`: the only argument is the message."""

    def __init__(self, *, caps: Caps) -> None:
        self._caps = caps

    def read(self, args: Args, kwargs: Kwargs) -> Reading:  # noqa: ARG002
        """The message itself."""
        (message,) = args
        if not isinstance(message, Message):
            raise ControlError(
                f'run takes a guardrails.Message, such as Message("...", channel="sms"), not {type(message).__name__}',
                control="binding",
            )
        return Reading(checked(message, self._caps))

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:  # noqa: ARG002
        """The sealed message itself."""
        return (message,), kwargs


def checked(message: Message, caps: Caps) -> Message:
    """*message* within the caps, with the context's ids where it has none of its own."""
    if sum(map(len, message.parts.values())) > caps.text_characters:
        raise Denied(f"more than {caps.text_characters} characters of text", control="caps")
    if len(message.parts) > caps.parts:
        raise Denied(f"more than {caps.parts} text parts", control="caps")
    if len(message.recipients) > caps.recipients:
        raise Denied(f"more than {caps.recipients} recipients", control="caps")
    ids = current_ids.get()
    filled = Message(
        message.parts,
        channel=message.channel,
        direction=message.direction,
        recipients=message.recipients,
        sender=message.sender,
        conversation=ids.conversation if message.conversation is None else message.conversation,
        tenant=ids.tenant if message.tenant is None else message.tenant,
        actor=ids.actor if message.actor is None else message.actor,
        metadata=message.metadata,
    )
    for role in ("conversation", "tenant", "actor"):
        if len(getattr(filled, role) or "") > caps.id_characters:
            raise Denied(f"a {role} of more than {caps.id_characters} characters", control="caps")
    return filled
