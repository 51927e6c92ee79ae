"""
The seams: what a control is, what it is given, what it may register.

`async` here means *may pause*, not *needs asyncio*: around a sync send the coroutine is stepped by hand in the caller's thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from guardrails.core.verdict import Coverage, Finding, Note

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.message import Message

T = TypeVar("T")

Reply: TypeAlias = object  # a Stream, or whatever the send returned
Forward: TypeAlias = Callable[["Call"], Coroutine[Any, Any, Reply]]

KINDS: Final = ("record", "limit", "mask", None)
PHASES: Final = ("recheck", "reserve", "shared", "intent")
DEADLINE_SECONDS: Final = 5.0


class Io(Protocol):
    """Everything that a control may wait for. Bounded by the control's deadline."""

    async def sleep(self, seconds: float) -> None:
        """Pause for *seconds*."""

    def now(self) -> datetime:
        """The time for people and records: aware, UTC."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back; for durations."""

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """
        Ask something outside this thread.

        Args:
            blocking: Called for sync sends, on trio (in a worker thread), and wherever *awaiting* is missing.
            awaiting: Awaited for sends on asyncio.
        """


@runtime_checkable
class Control(Protocol):
    """
    One middleware. Optional attributes that core reads:

    `name` (str), `kind` ("record", "limit", "mask" or None), `deadline_seconds` (float), `async_only` (bool),
    `needs` (roles that a call must have: "recipient", "conversation", "tenant"), and the plain methods
    `open()`, `close()` and `require_production()` (raises `ConfigError` when unfit for `Guard(..., production=True)`).
    """

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """
        Decide about *call*: forward it (once), perhaps rewritten, and return the reply; reply yourself; or raise `Denied`.

        Nothing may be spent or recorded here: register a `Step` with `call.at_door`.
        """


class Masker(Protocol):
    """
    What the one control of kind "mask" offers to core, besides `guard`.

    Optional: `inline_characters` (int); longer texts of async sends are masked in a worker thread. Default: 4,096. And
    `takes_long(text) -> bool`, whether a shorter one is, because it would hold the event loop for too long. Default: none. And
    `is_opaque(identifier) -> bool`, whether an id may stand in a record as it is. Default: nothing is found in it. And
    `allows(entity, value) -> bool`, whether the door's own detector lets a value pass. Default: no.
    """

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        """The masked text and what was found in it, each finding with `placed` set."""

    def filter(self) -> Filter:
        """A fresh filter that masks a stream, however it is cut."""


class Filter(Protocol):
    """Rewrites a stream of text. After `flush` it must be ready for the next text."""

    def feed(self, chunk: str, /) -> str:
        """What may leave now that *chunk* has arrived."""

    def flush(self) -> str:
        """What was still held back."""


class Sealed(NamedTuple):
    """
    The message exactly as it will be sent (masked, also under `monitor`), and what led to it.

    Args:
        message: The final message.
        findings: All findings of enforcing and watching mask controls, by part.
        verdicts: What each control noted, in order.
        coverage: What binding and detection could look at.
        send_id: Joins intent and outcome.
        operation: `module:qualname` of the send.
        message_key: The caller's key for repeated attempts, if it named one.
        policy: Digest of the policy in force; None for a guard that code made.
    """

    message: Message
    findings: Mapping[str, Sequence[Finding]]
    verdicts: Sequence[Note]
    coverage: Coverage
    send_id: str
    operation: str
    message_key: str | None = None
    policy: str | None = None

    def __repr__(self) -> str:
        return f"Sealed({self.message!r}, {len(self.verdicts)} verdicts, operation={self.operation!r})"


class Outcome(NamedTuple):
    """
    What became of a send whose steps were committed.

    Args:
        result: "sent", "failed", "unknown", "cancelled", "cut" or "abandoned".
        error_type: Class name of what was raised; never its text.
        error_code: Its `code` or `status_code`, if that is an int or a short identifier.
        released_characters: For streams, how many characters went out.
        duration_seconds: From the send's start to its end.
        verdicts: What controls noted about the reply.
        raised: Class of what the send itself raised, then of its causes; empty when it had returned or begun to stream.
    """

    result: str
    error_type: str | None = None
    error_code: str | None = None
    released_characters: int | None = None
    duration_seconds: float = 0.0
    verdicts: Sequence[Note] = ()
    raised: Sequence[type[BaseException]] = ()


RESULTS: Final = ("sent", "failed", "unknown", "cancelled", "cut", "abandoned")


class Step(Protocol):
    """
    Something that is consumed or recorded at the door, once per send.

    Steps run in the order of `PHASES`, then as registered. Steps of one type, phase and store are committed together:
    `commit` is called on the first, with the others as *peers*, and answers for all of them.
    `undo` is called, in reverse order, on every step whose commit was entered, also when it raised half-way: it must
    tolerate having nothing to undo. `settle` is called once on every committed step; it never waits.
    """

    @property
    def phase(self) -> str:
        """One of `PHASES`."""

    @property
    def store(self) -> Hashable:
        """What the step's state lives in; equal stores are asked once."""

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        """Consume or record; raise `Denied` or `Unavailable` to refuse."""

    async def undo(self, io: Io, /) -> None:
        """Give back what `commit` took; shielded from cancellation."""

    def settle(self, outcome: Outcome, /) -> None:
        """What the send itself did."""


NO_FINDINGS: Final[Mapping[str, Sequence[Finding]]] = MappingProxyType({})
