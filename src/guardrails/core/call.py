"""What a control is handed: the message as it stands, and what it may say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, final

from guardrails.core.masking import mask_message, mask_reply
from guardrails.core.message import with_parts
from guardrails.core.repeats import repeated_message
from guardrails.errors import ControlError, Denied

if TYPE_CHECKING:
    from guardrails.core.control import Io, Masker, Sealed, Step
    from guardrails.core.journey import Journey
    from guardrails.core.message import Message
    from guardrails.core.verdict import Coverage, Finding


@final
class Call:
    """
    One call of a send, as one control sees it. Frozen; no raw arguments in sight.

    Attributes:
        message: The message as it stands here; masked for every control after `MaskPII`.
        layer: The layer of the control that sees it: "platform" or "team".
    """

    __slots__ = ("_journey", "layer", "message")

    message: Message
    layer: str
    _journey: Journey

    def __init__(self) -> None:
        raise TypeError("a Call is made by the guard; see guardrails.testing to try a control by itself")

    def with_text(self, new: str | Mapping[str, str]) -> Call:
        """
        The same call with other text, to be forwarded.

        Args:
            new: The text of the only part, or path to new text; paths that are left out keep their text.

        Raises:
            ControlError: The message has several parts (or none) and *new* is a str, or a path is unknown.
            Denied: The texts are over the cap.
        """
        parts = self.message.parts
        if isinstance(new, str):
            if len(parts) != 1:
                raise ControlError(f"with_text(str) needs exactly one part; name them: {sorted(parts)}")
            new = dict.fromkeys(parts, new)
        elif not new.keys() <= parts.keys():
            raise ControlError(f"with_text: unknown part; the parts are {sorted(parts)}")
        if not all(isinstance(text, str) for text in new.values()):
            raise ControlError("with_text: every new text must be a str")
        exact = {path: str.__str__(text) for path, text in new.items()}
        cap = self._journey.plan.caps.text_characters
        if sum(map(len, {**parts, **exact}.values())) > cap:
            raise Denied(f"more than {cap} characters of text")
        return make_call(with_parts(self.message, {**parts, **exact}), self.layer, self._journey)

    @property
    def reply(self) -> str:
        """How the reply is treated: "auto", "mask", "restore" or "pass"."""
        return self._journey.plan.reply

    @property
    def policy(self) -> str | None:
        """Digest of the policy under which this call began; None for a guard that code made."""
        return self._journey.plan.stack.policy

    @property
    def repeat(self) -> bool:
        """True when an adapter says that its host tries the same message again; it was charged at the first attempt."""
        journey = self._journey
        return bool(journey.args) and journey.args[0] is repeated_message.get()

    @property
    def canary(self) -> str | None:
        """
        The name of the rehearsal that this call is, or None for a real one. A rehearsal ends before the send.

        What a control counts or records under a rehearsal, it counts under this name and marks as a canary's.
        """
        return self._journey.canary

    @property
    def is_masked(self) -> bool:
        """Whether the guard has a mask control: the text of the sealed message is then masked, also under `monitor`."""
        return self._journey.plan.stack.masker is not None

    @property
    def dry_run(self) -> bool:
        """True under `preview`: nothing will be sent, recorded or consumed."""
        return self._journey.dry_run

    @property
    def monitored(self) -> bool:
        """Whether the control that runs now only watches: it has no reason to make anybody wait."""
        turn = self._journey.turn
        return turn is not None and bool(turn.slot.monitored)

    async def masked(self, masker: Masker, io: Io) -> Call:
        """
        The same call with every part masked, and a note of what was found.

        Replacements that an outer guard made are left alone. This is how the control of kind "mask" masks.
        """
        message = await mask_message(self._journey, self.message, masker, io)
        return self if message is self.message else make_call(message, self.layer, self._journey)

    async def masked_reply(self, reply: object, masker: Masker, io: Io) -> object:
        """The reply, masked as `reply` says. This is how the control of kind "mask" masks on the way out."""
        return await mask_reply(self._journey, reply, masker, io)

    def note(
        self,
        verdict: str,
        *,
        findings: Sequence[Finding] | Mapping[str, Sequence[Finding]] = (),
        coverage: Coverage | None = None,
        detail: Mapping[str, str | int | bool | None] | None = None,
    ) -> None:
        """
        What the control that runs now decided, for the record. Types and counts only.

        Args:
            verdict: One of `guardrails.core.verdict.VERDICTS`.
            findings: What it found; by part, or of the only part.
            coverage: What it could look at.
            detail: Facts for the record, never message text.
        """
        self._journey.note(verdict, findings=findings, coverage=coverage, detail=detail)

    def at_door(self, step: Step) -> None:
        """
        Register something that is consumed or recorded only if the message really goes out.

        Raises:
            ControlError: The message has already reached the door.
        """
        self._journey.at_door(step)

    def so_far(self) -> Sealed:
        """
        What is known now, for a record of a refusal: notes, findings, and the masked text as far as there is one.

        Where a mask control stands in the guard and has not run yet, the message has no parts.
        """
        return self._journey.so_far()

    def is_opaque(self, identifier: str) -> bool:
        """Whether an id may stand in a record as it is: `[A-Za-z0-9._:-]{1,128}`, and nothing personal found in it."""
        return self._journey.is_opaque(identifier)

    @property
    def send_id(self) -> str:
        """Joins the records of this call; 32 hex digits."""
        return self._journey.send_id

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Call is frozen; use with_text() instead of setting {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"Call is frozen; {name!r} cannot be deleted")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Call belongs to one send and cannot be copied or pickled")

    def __repr__(self) -> str:
        return f"Call({self.message!r}, reply={self.reply!r}, layer={self.layer!r}, dry_run={self.dry_run})"


_new = object.__new__
_set_message = Call.message.__set__  # type: ignore[attr-defined, misc]  # a slot's descriptor, typed as its value
_set_layer = Call.layer.__set__  # type: ignore[attr-defined, misc]
_set_journey = Call._journey.__set__  # type: ignore[attr-defined, misc]  # noqa: SLF001 - same module


def make_call(message: Message, layer: str, journey: Journey) -> Call:
    """A call, for core only."""
    call = _new(Call)
    _set_message(call, message)
    _set_layer(call, layer)
    _set_journey(call, journey)
    return call
