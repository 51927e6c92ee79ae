"""
A conversation that changes its channel: what was said, in an envelope that only this system opens, once, and not for long.

The envelope is text of letters, digits, `-`, `_` and `.`, at most 2 KB: it fits a SIP header, a parameter of a call, or a link.
It holds a masked summary, the conversation's ids, references to the vault and how well the person was verified. It is encrypted
and authenticated (AES-256-GCM under a sub-key of the master key), so that nobody reads it on its way, and a changed byte opens
nothing. A token in the summary still resolves for its own subject only, in the vault of the system that opens it.
"""

from __future__ import annotations

import base64
import json
import secrets
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, final

from guardrails.adapters.ids import is_opaque
from guardrails.adapters.once import Once, OnceHere, once_in
from guardrails.core.context import context as ids_in_force
from guardrails.core.context import current
from guardrails.core.message import HANDOFF, Message
from guardrails.errors import ConfigError, Denied

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager

    from guardrails.core.guard import Guard
    from guardrails.keys import Keys

MOST_CHARACTERS: Final = 2_048  # of an envelope
MOST_PLAIN: Final = 16_384  # bytes of an opened one
MOST_SECONDS: Final = 24 * 3_600
_PREFIX: Final = "g1."  # the format's version
_PURPOSE: Final = "handoff"
_KEY_ID: Final = 4
_NONCE: Final = 12
_SKEW: Final = timedelta(seconds=30)  # between the clocks of two machines

# Of the task or thread that runs here: several may hold the same handoff.
_blocks: Final[ContextVar[tuple[AbstractContextManager[None], ...]]] = ContextVar("guardrails_handoffs", default=())


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """
    What came over from another channel. `with handoff:` names its ids for every guarded send in the block.

    Args:
        summary: What was said, masked.
        channel: Where it was said.
        conversation: Id.
        tenant: Id.
        actor: Id.
        subject: Whom the vault knows.
        verification: How well the person was verified there, in the words of your system.
        references: Tokens and other references into the vault.
        issued: When.
        expires: When nobody can accept it any more.
    """

    summary: str
    channel: str
    conversation: str | None
    tenant: str | None
    actor: str | None
    subject: str | None
    verification: str | None
    references: tuple[str, ...]
    issued: datetime
    expires: datetime

    def __enter__(self) -> Self:
        block = ids_in_force(tenant=self.tenant, conversation=self.conversation, actor=self.actor)
        block.__enter__()
        _blocks.set((*_blocks.get(), block))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        *outer, block = _blocks.get()
        _blocks.set(tuple(outer))
        block.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        return f"Handoff({len(self.summary)} characters, {len(self.references)} references)"


@final
class Context:
    """
    `guardrails.context`: who a send is for, when its arguments do not say, here and in the next channel.

    Calling it names ids for a block, as `guardrails.core.context.context` says.
    """

    def __init__(self) -> None:
        self._once = OnceHere()

    def __call__(
        self, *, tenant: str | None = None, conversation: str | None = None, actor: str | None = None
    ) -> _GeneratorContextManager[None]:
        """
        Name tenant, conversation or actor for every guarded send in this block.

        Arguments of a send win over it; inner blocks win over outer ones, id by id. Coroutines and generators read it when
        they are first stepped, other sends when they are called. Plain threads and executors do not inherit it.

        Args:
            tenant: Opaque id.
            conversation: Opaque id.
            actor: Opaque id.

        Raises:
            ConfigError: An id is not a str.
        """
        return ids_in_force(tenant=tenant, conversation=conversation, actor=actor)

    def handoff(
        self,
        summary: str,
        *,
        guard: Guard,
        channel: str = "other",
        subject: str | None = None,
        verification: str | None = None,
        references: Sequence[str] = (),
        valid_seconds: float = 300,
        keys: Keys | None = None,
    ) -> str:
        """
        An envelope for the channel where the conversation goes on. Ids come from the block around the call.

        Args:
            summary: What was said; it goes through *guard*, so that it is masked and on the record like a send.
            guard: With a mask control; its tokens are the conversation's, and those that stand in the texts stay as they are.
            channel: Where it was said.
            subject: Whom the vault knows; an opaque id.
            verification: How well the person was verified, such as `"otp"`.
            references: Tokens and other references into the vault.
            valid_seconds: How long it can be accepted, at most a day.
            keys: None for this machine's key.

        Returns:
            At most 2,048 characters of `[A-Za-z0-9._-]`.

        Raises:
            ConfigError: The guard has no mask control, or an argument is wrong.
            Denied: It is longer than an envelope, or an id is not opaque.
            GuardrailsError: The guard refused the summary.
        """
        if not getattr(guard, "masks", False):
            raise ConfigError("context.handoff(guard=...) needs a guard with a mask control, such as MaskPII()")
        if not isinstance(valid_seconds, int | float) or not 0 < valid_seconds <= MOST_SECONDS:
            raise ConfigError(f"valid_seconds must be a number of seconds, more than 0 and at most {MOST_SECONDS}")
        references = _checked(references)
        ids = current.get()
        held: dict[str, Any] = {
            "channel": channel,
            "conversation": ids.conversation,
            "tenant": ids.tenant,
            "actor": ids.actor,
            "subject": subject,
            "verification": verification,
        }
        for name, value in held.items():
            if (value is not None or name == "channel") and not (isinstance(value, str) and is_opaque(value)):
                raise Denied(
                    f"{name} must be an opaque id: letters, digits and ._:-, and no telephone number", control="handoff"
                )
        parts = {"summary": summary, **{f"references[{number}]": one for number, one in enumerate(references)}}
        message = Message(parts, channel=HANDOFF, conversation=ids.conversation, tenant=ids.tenant, actor=ids.actor)
        del summary, references, parts
        sealed: dict[str, str] = guard.run(message, _texts, reply="pass")
        now = datetime.now(UTC)
        said = {
            **{name: value for name, value in held.items() if value is not None},
            "summary": sealed.pop("summary"),
            "references": list(sealed.values()),
            "id": secrets.token_urlsafe(16),
            "issued": now.timestamp(),
            "expires": now.timestamp() + valid_seconds,
        }
        plain = json.dumps(said, separators=(",", ":")).encode("ascii")
        envelope = _closed(plain, _sub_keys(keys)[0])
        if len(envelope) > MOST_CHARACTERS or len(plain) > MOST_PLAIN:
            raise Denied(f"an envelope of more than {MOST_CHARACTERS} characters: shorten the summary", control="handoff")
        return envelope

    def accept(
        self,
        envelope: str,
        *,
        keys: Keys | None = None,
        once: Once | str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Handoff:
        """
        Open an envelope.

        Args:
            envelope: What `handoff` gave.
            keys: The same keys, newest first while they rotate; None for this machine's.
            once: Remembers what was accepted: a Redis or Valkey server that all processes share, such as
                `"rediss://cache.example:6379/0"`, or an object with `take`; None for this process alone, where several
                processes could each accept once.
            now: The time, aware.

        Raises:
            Denied: It is not ours, was changed, has expired, was accepted before, or is another tenant's than the block's.
            Unavailable: The server that *once* names does not answer.
            ConfigError: An argument is wrong.
        """
        said = _opened(envelope, _sub_keys(keys))
        issued, expires = (datetime.fromtimestamp(said[name], UTC) for name in ("issued", "expires"))
        once = None if once == "memory://" else once
        keeper: Once = self._once if once is None else once_in(once) if isinstance(once, str) else once
        at = now()
        if at.tzinfo is None or not hasattr(keeper, "take"):
            raise ConfigError(
                "context.accept: now() answers with a time zone, and once= is a server's address or has take()"
            )
        if not issued - _SKEW <= at <= expires:
            raise Denied("the envelope has expired", control="handoff")
        tenant = current.get().tenant
        if tenant is not None and tenant != said.get("tenant"):
            raise Denied("the envelope is another tenant's", control="handoff")
        if not keeper.take(said["id"], expires + _SKEW):
            raise Denied("the envelope was accepted before", control="handoff")
        return Handoff(
            summary=said["summary"],
            channel=said["channel"],
            conversation=said.get("conversation"),
            tenant=said.get("tenant"),
            actor=said.get("actor"),
            subject=said.get("subject"),
            verification=said.get("verification"),
            references=tuple(said["references"]),
            issued=issued,
            expires=expires,
        )

    def __repr__(self) -> str:
        return "guardrails.context"


context: Final = Context()


def _texts(sealed: Message) -> dict[str, str]:
    return dict(sealed.parts)


def _checked(references: object) -> Sequence[str]:
    if isinstance(references, str) or not isinstance(references, Sequence):
        raise ConfigError("context.handoff(references=...) takes a list of str")
    return references


def _sub_keys(keys: Keys | None) -> tuple[bytes, ...]:
    from guardrails.keys import Keys as AnyKeys  # noqa: PLC0415 - the front door stays light

    keys = AnyKeys.default() if keys is None else keys
    if not isinstance(keys, AnyKeys):
        raise ConfigError(f"keys= takes Keys, such as Keys.from_text(...), not {type(keys).__name__}")
    return keys.exported(_PURPOSE)


def _key_id(key: bytes) -> bytes:
    return sha256(b"guardrails handoff key id" + key).digest()[:_KEY_ID]


def _closed(plain: bytes, key: bytes) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only who hands over pays

    head = _key_id(key) + secrets.token_bytes(_NONCE)
    sealed = head + AESGCM(key).encrypt(head[_KEY_ID:], zlib.compress(plain, 9), _PREFIX.encode() + head[:_KEY_ID])
    return _PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _opened(envelope: object, sub_keys: Sequence[bytes]) -> dict[str, Any]:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only who hands over pays
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    foreign = Denied("the envelope is not one of ours, or was changed", control="handoff")
    if not isinstance(envelope, str) or not envelope.startswith(_PREFIX) or len(envelope) > MOST_CHARACTERS:
        raise foreign
    body = envelope[len(_PREFIX) :]
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError:
        data = b""
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != body:  # one envelope has one spelling
        raise foreign
    head, sealed = data[: _KEY_ID + _NONCE], data[_KEY_ID + _NONCE :]
    for key in sub_keys:
        if head[:_KEY_ID] == _key_id(key):
            try:
                packed = AESGCM(key).decrypt(head[_KEY_ID:], sealed, _PREFIX.encode() + head[:_KEY_ID])
            except InvalidTag:
                continue
            said: dict[str, Any] = json.loads(zlib.decompressobj().decompress(packed, MOST_PLAIN))
            return said
    raise foreign
