"""`AuditLog`: no send without its intent on record, no refusal unrecorded, one outcome for each intent."""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import partial
from json.encoder import encode_basestring_ascii as quote
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from guardrails import __version__, address
from guardrails.audit import fields, record
from guardrails.audit.anchors import Anchor, refuse_inside
from guardrails.audit.bounds import Bounds
from guardrails.audit.checkpoints import Checkpoints
from guardrails.audit.digests import Digests
from guardrails.audit.entry import DECISION, INTENT, OUTCOME, WRITTEN, Entry
from guardrails.audit.files import JsonlDirectory
from guardrails.audit.record import EventIds
from guardrails.audit.refusals import Kind
from guardrails.audit.sink import Sink
from guardrails.audit.streams import Streams
from guardrails.audit.writer import Writer
from guardrails.core.control import DEADLINE_SECONDS, Outcome
from guardrails.errors import Blocked, ConfigError, Deferred, Denied, GuardrailsError, RateLimited, Unavailable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from guardrails.audit.note import Signer
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply, Sealed
    from guardrails.keys import Keys

_log: Final = logging.getLogger("guardrails.audit")


class AuditLog:
    """
    Records every send: the intent before the message goes out, the outcome after, and every refusal.

    Args:
        sink: A folder for JSONL files, or a `Sink` of your own.
        durability: "fsync": an intent is on stable storage before the send (a thread writes, many sends share one
            write). "os": the operating system has it: it survives this process, not a power cut. Each record says which.
        deadline_seconds: An intent that takes longer is `Unavailable`, and nothing is sent.
        keys: For digests of recipients, ids and masked text; the default is the key of this machine.
        name: Names this control in errors.
        bounds: How much it may hold and write.
        signer: Signs checkpoints of each stream; needs *anchors*.
        anchors: Where checkpoints are kept, out of the reach of who could change the log. Each stream's beginning is
            anchored before its first intent counts; an anchor that fails makes sends `Unavailable`.
        checkpoint_every: Records between two checkpoints; the last record of a stream that is closed is always anchored.
        checkpoint_seconds: Between two checkpoints, also when nothing is sent.

    Raises:
        ConfigError: An argument is of no use, or the key file lies inside the folder.

    Under `durability="os"` the calling thread writes, so a file system that hangs holds up the send beyond the deadline.
    """

    kind: Final = "record"

    def __init__(
        self,
        sink: str | os.PathLike[str] | Sink,
        *,
        durability: Literal["fsync", "os"] = "fsync",
        deadline_seconds: float = 2.0,
        keys: Keys | None = None,
        name: str = "audit_log",
        bounds: Bounds | None = None,
        signer: Signer | None = None,
        anchors: Sequence[Anchor] = (),
        checkpoint_every: int = 1_000,
        checkpoint_seconds: float = 300.0,
    ) -> None:
        if durability not in {"fsync", "os"}:
            raise ConfigError('AuditLog(durability=...) must be "fsync" or "os"')
        if isinstance(deadline_seconds, bool) or not isinstance(deadline_seconds, (int, float)):
            raise ConfigError("AuditLog(deadline_seconds=...) must be a number of seconds")
        if not 0 < deadline_seconds <= threading.TIMEOUT_MAX:
            raise ConfigError("AuditLog(deadline_seconds=...) must be more than 0")
        if (signer is None) != (not anchors):
            raise ConfigError(
                "AuditLog(signer=..., anchors=[...]) go together: unsigned anchors and unkept signatures prove nothing"
            )
        if type(checkpoint_every) is not int or checkpoint_every < 1:
            raise ConfigError("AuditLog(checkpoint_every=...) must be an int of at least 1")
        if (
            isinstance(checkpoint_seconds, bool)
            or not isinstance(checkpoint_seconds, (int, float))
            or not checkpoint_seconds > 0
        ):
            raise ConfigError("AuditLog(checkpoint_seconds=...) must be a number of seconds above 0")
        if any(not isinstance(anchor, Anchor) for anchor in anchors):
            raise ConfigError("AuditLog(anchors=[...]) must be anchors, such as DirectoryAnchor(folder)")
        # Heavy, and needed as soon as there is an AuditLog; `import guardrails` stays light.
        address.load()

        from guardrails.audit.mirror import Mirror  # noqa: PLC0415
        from guardrails.audit.pipeline import pipeline  # noqa: PLC0415
        from guardrails.keys import Keys  # noqa: PLC0415

        self.name = name
        # Core's deadline for this control must not cut off our own, which knows what became of the intent.
        self.deadline_seconds: float = max(DEADLINE_SECONDS, 2 * float(deadline_seconds))
        self._seconds = float(deadline_seconds)
        self._bounds = bounds or Bounds()
        self._keys = keys or Keys.default()
        self._folder = None if isinstance(sink, Sink) else _folder(sink)
        if self._folder is not None:
            refuse_inside(self._folder, anchors)
        self._check_key_file()
        self._digests = Digests(self._keys, cached=self._bounds.cached_digests)
        self._attempts: dict[str, int] = {}
        self._numbering = threading.RLock()  # a garbage collector may send while we number
        event_ids = EventIds()
        streams = Streams(
            sink if isinstance(sink, Sink) else JsonlDirectory(_folder(sink)),
            partial(_render, pipeline, durability),
            durable=durability == "fsync",
            event_ids=event_ids,
            library=__version__,
            config=self._config(sink, durability, signer, checkpoint_every, checkpoint_seconds),
            checkpoints=Checkpoints(signer, anchors, checkpoint_every, float(checkpoint_seconds)),
        )
        self._writer = Writer(
            streams,
            threaded=durability == "fsync",
            deadline_seconds=self._seconds,
            bounds=self._bounds,
            show=Mirror().show,
            event_ids=event_ids,
            keeps_time=signer is not None,
        )

    # -- the control

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:  # noqa: ARG002 - the step is given its own
        """Register the intent, forward, and record a refusal if that is what comes back."""
        if call.dry_run:
            return await forward(call)
        step = _Intent(self, call)
        call.at_door(step)
        try:
            reply = await forward(call)
        except BaseException as error:
            record_id = step.record_id or self._refused(call, error)
            if isinstance(error, GuardrailsError) and error.record_id is None:
                error.record_id = record_id
            raise
        if step.record_id is None:
            self._refused(call, None)
        return reply

    def open(self) -> None:
        """
        Open the stream now rather than at the first send.

        Raises:
            ConfigError: The key cannot be used, or lies inside the folder.
            Unavailable: The sink does not work.
        """
        self._check_key_file()
        self._digests.content("", None)  # a key that cannot be had is found here, not at the first send
        try:
            self._writer.open()
        except Unavailable as error:
            error.control = self.name
            raise

    def close(self) -> None:
        """Write what is queued and end the stream, within the deadline; later sends are `Unavailable`."""
        self._writer.close()

    def require_production(self) -> None:
        """
        Refuse keys that nobody chose.

        Raises:
            ConfigError: The key was created by itself, or ends with the process.
        """
        self._keys.require_production()

    def note_canary(self, name: str, *, passed: bool, checks: int, failed: Sequence[str]) -> None:
        """
        Put on record what a round of canaries found.

        Args:
            name: Names the round.
            passed: Whether everything held.
            checks: How much was tried.
            failed: The controls that failed.

        Raises:
            Unavailable: It could not be written in time.
        """
        writer = self._writer
        writer.start()
        writer.reserve()
        try:
            entry = Entry(INTENT, record.canary(writer.event_ids(), name=name, passed=passed, checks=checks, failed=failed))
            if _put_and_wait(writer, entry, self._seconds) != WRITTEN:
                raise Unavailable(_why_not(entry, self._seconds), control=self.name)
        finally:
            writer.unreserve()

    @property
    def folder(self) -> Path | None:
        """The folder of the files; None with a `Sink` of your own."""
        return self._folder

    def health(self) -> dict[str, str | int | bool | None]:
        """How it is doing: what waits, what could not be written, and under "problem" what is wrong."""
        return self._writer.health()

    @property
    def lost(self) -> int:
        """Records that could not be written any more because the log was closed first."""
        return self._writer.lost

    def __repr__(self) -> str:
        return f"AuditLog({str(self._folder) if self._folder else '<sink>'!r}, name={self.name!r})"

    # -- records

    def _check_key_file(self) -> None:
        if self._folder is not None:
            self._keys.refuse_inside(self._folder)

    def _config(
        self, sink: object, durability: str, signer: Signer | None, every: int, seconds: float
    ) -> dict[str, str | int]:
        signed: dict[str, str | int] = (
            {} if signer is None else {"checkpoint_seconds": math.ceil(seconds), "signer": signer.name}
        )
        return {
            **signed,
            "checkpoint_every": 0 if signer is None else every,
            "deadline_ms": int(self._seconds * 1000),
            "durability": durability,
            "in_flight": self._bounds.in_flight,
            "name": self.name,
            "record_bytes": self._bounds.record_bytes,
            "sink": type(sink).__name__ if isinstance(sink, Sink) else JsonlDirectory.__name__,
        }

    def _intent(self, call: Call, sealed: Sealed) -> Entry:
        members = self._about("intent" if call.canary is None else "canary", call, sealed)
        if call.canary is not None:
            members["canary"] = fields.word("canary", call.canary)
        if sealed.message_key is not None:
            members["attempt"] = f'"attempt":{self._attempt(members["message_key"])}'
        record.guards(members, sealed.verdicts, self._bounds.record_bytes)
        return Entry(INTENT, members)

    def _about(self, stage: str, call: Call, sealed: Sealed) -> fields.Members:
        message, digests = sealed.message, self._digests
        tenant, conversation, actor, key = message.tenant, message.conversation, message.actor, sealed.message_key
        recipients = digests.recipients(message.recipients[: self._bounds.recipients], tenant)
        parts = message.parts
        digest = digests.content(next(iter(parts.values())) if len(parts) == 1 else message.text, tenant) if parts else None
        members = record.about(stage, self._writer.event_ids(), sealed, recipients, digest)
        if tenant is not None:
            members["tenant"] = f'"tenant":{self._identity(call, tenant, tenant)}'
        if conversation is not None:
            members["conversation"] = f'"conversation":{self._identity(call, conversation, tenant)}'
        if actor is not None:
            members["actor"] = f'"actor":{self._identity(call, actor, tenant)}'
        if key is not None:
            members["message_key"] = f'"message_key":{quote(digests.identifier(key, tenant))}'
        return members

    def _identity(self, call: Call, value: str, tenant: str | None) -> str:
        return quote(value if call.is_opaque(value) else self._digests.identifier(value, tenant))

    def _attempt(self, key: str) -> int:
        """How often a message key has come to the door of this log, this time included."""
        attempts = self._attempts
        with self._numbering:
            attempts[key] = number = attempts.pop(key, 0) + 1
            if len(attempts) > self._bounds.message_keys:
                del attempts[next(iter(attempts))]
        return number

    def _refused(self, call: Call, error: BaseException | None) -> str | None:
        """Leave one decision record; its id. Never waits, and never raises instead of the refusal."""
        if call.canary is not None:  # its round says what became of it
            return None
        writer = self._writer
        decision, code = _decided(error), type(error).__name__ if error is not None else "none"
        by = getattr(error, "control", None)
        kind = Kind(call.message.channel, by if isinstance(by, str) else "", decision, code)
        if writer.is_closed:
            writer.lose_one()
            return None
        try:
            writer.start()
            if not writer.reserve_decision():
                return writer.refusals.count(kind, time.monotonic())
            entry = Entry(DECISION, self._decision(call, kind, error))
        except Exception as failure:  # noqa: BLE001 - a key, core, or a thread that cannot start: the refusal stands
            _log.error("a refusal could not be recorded by itself (%s): it is counted", type(failure).__name__)
            return writer.refusals.count(kind, time.monotonic())
        writer.put(entry)
        return _id_of(entry)

    def _decision(self, call: Call, kind: Kind, error: BaseException | None) -> fields.Members:
        sealed = call.so_far()
        members = self._about("decision", call, sealed)
        members["decision"] = fields.word("decision", kind.decision)
        members["deny_code"] = fields.word("deny_code", kind.deny_code)
        if kind.control:
            members["control"] = fields.word("control", kind.control)
        if isinstance(error, Denied):
            members["reason"] = fields.reason(str(error.reason))
        if isinstance(error, RateLimited):
            wait = None if error.retry_after is None else fields.milliseconds(error.retry_after)
            limit = {"name": error.limit, "retry_after_ms": wait, "scope": error.scope}
            members["limit"] = f'"limit":{fields.facts(limit)}'
        if isinstance(error, Blocked):
            members["findings"] = f'"findings":{fields.counts(error.findings)}'
        record.guards(members, sealed.verdicts, self._bounds.record_bytes)
        return members


class _Intent:
    """The step that writes the intent at the door, and the outcome when the send is over."""

    __slots__ = ("_call", "_epoch", "_log", "_send_id", "_settled", "record_id")

    phase: str = "intent"

    def __init__(self, log: AuditLog, call: Call) -> None:
        self._log = log
        self._call = call
        self._send_id = ""
        self._settled = True  # nothing to say until an intent has been handed over
        self._epoch = 0
        self.record_id: str | None = None

    @property
    def store(self) -> AuditLog:
        """Intents of one log are one stream."""
        return self._log

    @property
    def deadline_seconds(self) -> float:
        """Core's bound; later than our own, which knows what became of the intent."""
        return self._log.deadline_seconds

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - one log, one intent
        """Write the intent before the send."""
        log, writer = self._log, self._log._writer  # noqa: SLF001 - same module
        try:
            if not writer.is_started:
                writer.start()
            writer.reserve()
        except Unavailable as error:
            error.control = log.name
            raise
        try:
            entry = log._intent(self._call, sealed)  # noqa: SLF001
        except BaseException:
            writer.unreserve()
            raise
        seconds = log._seconds  # noqa: SLF001
        until = time.monotonic() + seconds
        # From here on the intent may be on record, whatever happens: it will get an outcome.
        self._send_id, self._epoch, self._settled, self.record_id = sealed.send_id, writer.epoch, False, _id_of(entry)
        if writer.is_ready:
            writer.put(entry)
            if entry.state is not WRITTEN:  # somebody else's turn came between
                await io.ask(blocking=lambda: writer.wait(entry, seconds))
        else:
            await io.ask(blocking=lambda: _put_and_wait(writer, entry, seconds), awaiting=_awaiting(writer, entry, seconds))
        if entry.state is not WRITTEN or time.monotonic() > until:
            raise Unavailable(_why_not(entry, seconds), control=log.name)

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Nothing was sent: say so, if the intent is on record or may yet be."""
        self.settle(Outcome("abandoned"))

    def settle(self, outcome: Outcome, /) -> None:
        """Queue the outcome; the slot for it was reserved with the intent."""
        writer = self._log._writer  # noqa: SLF001 - same module
        if self._settled or self._epoch != writer.epoch:  # after a fork inside a send, the parent tells the outcome
            return
        self._settled = True
        if self._call.canary is not None:
            writer.unreserve()
            return
        room = self._log._bounds.record_bytes  # noqa: SLF001
        writer.put(Entry(OUTCOME, record.outcome(writer.event_ids(), self._send_id, outcome, room)))


def _put_and_wait(writer: Writer, entry: Entry, seconds: float) -> str:
    entry.expect()
    writer.put(entry)
    return writer.wait(entry, seconds)


def _awaiting(writer: Writer, entry: Entry, seconds: float) -> Any:
    if not writer.is_threaded:
        return None

    async def put_and_wait() -> str:
        import asyncio  # noqa: PLC0415 - loaded already: this runs on its loop

        entry.expect(asyncio.get_running_loop())
        writer.put(entry)
        return await entry.wait_async(seconds)

    return put_and_wait


def _why_not(entry: Entry, seconds: float) -> str:
    if entry.state == "failed":
        return "the audit log cannot be written; it is tried again by itself"
    return f"the intent was not on record within {seconds:g} s"


def _decided(error: BaseException | None) -> str:
    match error:
        case None:
            return "reply"
        case Deferred():
            return "defer"
        case Denied():
            return "deny"
        case Exception():
            return "error"
        case _:
            return "cancel"


def _id_of(entry: Entry) -> str:
    return entry.members["event_id"][len('"event_id":"') : -1]


def _folder(sink: str | os.PathLike[str] | Sink) -> Path:
    if isinstance(sink, Sink) or not sink:
        raise ConfigError("AuditLog(sink) must be a folder or a Sink")
    try:
        return Path(sink).absolute()  # the working directory may change before the first send
    except TypeError:
        raise ConfigError("AuditLog(sink) must be a folder or a Sink") from None


def _render(make: Callable[..., Callable[[fields.Members], bytes]], durability: str, stream: str) -> Any:
    return make(stream=stream, durability=durability)
