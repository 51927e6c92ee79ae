"""`AuditLog`: no send without its intent on record, no refusal unrecorded, one outcome for each intent."""

from __future__ import annotations

import getpass
import logging
import threading
import time
from functools import partial
from json.encoder import encode_basestring_ascii as quote
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from guardrails import __version__, address
from guardrails.audit import fields, record, setup
from guardrails.audit.bounds import Bounds
from guardrails.audit.checkpoints import Checkpoints
from guardrails.audit.digests import Digests
from guardrails.audit.entry import DECISION, INTENT, WRITTEN, Entry
from guardrails.audit.record import EventIds
from guardrails.audit.refusals import Kind
from guardrails.audit.step import Book, IntentStep, id_of, put_and_wait, why_not
from guardrails.audit.streams import Streams
from guardrails.audit.tracing import add_trace
from guardrails.audit.writer import Writer
from guardrails.core.control import DEADLINE_SECONDS
from guardrails.core.message_class import stated_class
from guardrails.errors import Blocked, Deferred, Denied, GuardrailsError, RateLimited, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guardrails.audit.anchors import Anchor
    from guardrails.audit.note import Signer
    from guardrails.audit.setup import Place
    from guardrails.audit.sink import Sink
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply, Sealed
    from guardrails.keys import Keys

_REPLY_CHARACTERS: Final = 65_536  # of a reply, that are digested
_log: Final = logging.getLogger("guardrails.audit")


class AuditLog:
    """
    Records every send: the intent before the message goes out, the outcome after, and every refusal.

    Args:
        sink: A folder for JSONL files, a `Sink`, or several of either, each with the whole log.
        level: "metadata": types, counts, sizes and digests. "masked": also the masked text of each message, where the guard
            has a mask control; without one no text is recorded.
        durability: "fsync": an intent is on stable storage before the send (a thread writes, many sends share one
            write). "os": the operating system has it: it survives this process, not a power cut. Each record says which.
        deadline_seconds: An intent that takes longer is `Unavailable`, and nothing is sent. It bounds each sink.
        required: Of several sinks, those that must take each record; the others are best-effort.
        min_success: How many sinks must take each record, required or not.
        keys: For digests of recipients, ids and masked text; the default is the key of this machine.
        name: Names this control in errors.
        bounds: How much it may hold and write.
        signer: Signs checkpoints of each stream; needs *anchors*.
        anchors: Where checkpoints are kept, out of the reach of who could change the log. Each stream's beginning is
            anchored before its first intent counts; an anchor that fails makes sends `Unavailable`.
        checkpoint_every: Records between two checkpoints; the last record of a stream that is closed is always anchored.
        checkpoint_seconds: Between two checkpoints, also when nothing is sent.
        emergency: A reserved local folder or sink. A message of the class "emergency" (`guardrails.ratelimit.message_class`)
            that the log cannot record goes out on this record; without it nothing goes out unrecorded by the log.

    Raises:
        ConfigError: An argument is of no use, or the key file lies inside the folder.

    Under `durability="os"` the calling thread writes, so a file system that hangs holds up the send beyond the deadline.
    """

    kind: Final = "record"

    def __init__(
        self,
        sink: Place | Sequence[Place],
        *,
        level: Literal["metadata", "masked"] = "metadata",
        durability: Literal["fsync", "os"] = "fsync",
        deadline_seconds: float = 2.0,
        required: Literal["all"] | Sequence[Place] = "all",
        min_success: int = 1,
        keys: Keys | None = None,
        name: str = "audit_log",
        bounds: Bounds | None = None,
        signer: Signer | None = None,
        anchors: Sequence[Anchor] = (),
        checkpoint_every: int = 1_000,
        checkpoint_seconds: float = 300.0,
        emergency: Place | None = None,
    ) -> None:
        setup.check(
            level=level,
            durability=durability,
            deadline_seconds=deadline_seconds,
            signer=signer,
            anchors=anchors,
            checkpoint_every=checkpoint_every,
            checkpoint_seconds=checkpoint_seconds,
        )
        joined, sinks = setup.read_sinks(
            sink, required=required, min_success=min_success, deadline_seconds=float(deadline_seconds)
        )
        setup.check_sinks(joined, sinks, durability, anchors)
        reserved = None if emergency is None else setup.read_place(emergency, "emergency=...")
        # Heavy, and needed as soon as there is an AuditLog; `import guardrails` stays light.
        address.load()

        from guardrails.keys import Keys  # noqa: PLC0415

        self.name = name
        # Core's deadline for this control must not cut off our own, which knows what became of the intent.
        self.deadline_seconds: float = max(DEADLINE_SECONDS, (2 if reserved is None else 3) * float(deadline_seconds))
        self._seconds = float(deadline_seconds)
        self._level = level
        self._bounds = bounds or Bounds()
        self._keys = keys or Keys.default()
        self._folders = setup.folders_of(sinks)
        self._holders = setup.holders_of(joined)
        self._check_key_file()
        self._digests = Digests(self._keys, cached=self._bounds.cached_digests)
        self._attempts: dict[str, int] = {}
        self._numbering = threading.RLock()  # a garbage collector may send while we number
        config = setup.described(
            sinks,
            durability=durability,
            level=level,
            deadline_seconds=self._seconds,
            signer=signer,
            checkpoint_every=checkpoint_every,
            checkpoint_seconds=float(checkpoint_seconds),
        )
        checkpoints = Checkpoints(signer, anchors, checkpoint_every, float(checkpoint_seconds))
        self._writer = self._make_writer(joined, durability, config, checkpoints)
        emergency_writer = None
        if reserved is not None:
            described: dict[str, str | int] = {
                "durability": "fsync",
                "level": level,
                "sink": type(reserved).__name__,
                "emergency": 1,
            }
            emergency_writer = self._make_writer(reserved, "fsync", described, Checkpoints(None, (), 1, 1.0))
        self._book = Book(
            name=name,
            seconds=self._seconds,
            deadline_seconds=self.deadline_seconds,
            room=self._bounds.record_bytes,
            writer=self._writer,
            emergency=emergency_writer,
            intent=self._intent,
        )

    def _make_writer(self, sink: Sink, durability: str, config: dict[str, str | int], checkpoints: Checkpoints) -> Writer:
        from guardrails.audit.mirror import Mirror  # noqa: PLC0415 - heavy
        from guardrails.audit.pipeline import pipeline  # noqa: PLC0415 - heavy

        event_ids = EventIds()
        about: dict[str, str | int] = {
            "in_flight": self._bounds.in_flight,
            "name": self.name,
            "record_bytes": self._bounds.record_bytes,
        }
        streams = Streams(
            sink,
            partial(_render, pipeline, durability),
            durable=durability == "fsync",
            event_ids=event_ids,
            library=__version__,
            config=config | about,
            checkpoints=checkpoints,
        )
        return Writer(
            streams,
            threaded=durability == "fsync",
            deadline_seconds=self._seconds,
            bounds=self._bounds,
            show=Mirror().show,
            event_ids=event_ids,
            keeps_time=checkpoints.is_on,
        )

    # -- the control

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:  # noqa: ARG002 - the step is given its own
        """Register the intent, forward, and record a refusal if that is what comes back."""
        if call.dry_run:
            return await forward(call)
        step = IntentStep(self._book, call)
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
        else:
            step.reply = self._reply_digest(reply, call)
        return reply

    def open(self) -> None:
        """
        Open the stream now rather than at the first send.

        Raises:
            ConfigError: The key cannot be used, or lies inside the folder.
            Unavailable: The sink does not work. Not with `emergency=...`: emergencies can go out, and everything else is
                refused at the door.
        """
        self._check_key_file()
        self._digests.content("", None)  # a key that cannot be had is found here, not at the first send
        try:
            self._writer.open()
        except Unavailable as error:
            error.control = self.name
            if self._book.emergency is None:
                raise
            _log.error("the audit log cannot be opened: only messages of the class emergency go out")

    def close(self) -> None:
        """Write what is queued and end the stream, within the deadline; later sends are `Unavailable`."""
        self._book.reconcile()
        if self._book.emergency is not None:
            self._book.emergency.close()
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
        self._note(record.canary(self._writer.event_ids(), name=name, passed=passed, checks=checks, failed=failed))

    def note_config(self, change: str, **facts: str | int | bool | None) -> None:
        """
        Put on record that something is now another: a policy, a key, a switch.

        Args:
            change: What, in a word or two.
            facts: At most 16, cut to 64 characters each; never anything personal or secret.

        Raises:
            Unavailable: It could not be written in time.
        """
        self._note(record.config(self._writer.event_ids(), change=change, named=facts))

    def note_review(self, command: str, *, user: str | None = None, asked: Mapping[str, Any] | None = None) -> None:
        """
        Put on record that somebody looked into a log.

        Args:
            command: What was done, such as "query".
            user: Who; the user of this process unless given.
            asked: What was asked for; digests, never what was digested.

        Raises:
            Unavailable: It could not be written in time.
        """
        name = user or _user()
        self._note(record.review(self._writer.event_ids(), command=command, user=name, asked=asked or {}))

    def _note(self, members: fields.Members) -> None:
        writer = self._writer
        writer.start()
        writer.reserve()
        try:
            entry = Entry(INTENT, members)
            if put_and_wait(writer, entry, self._seconds) != WRITTEN:
                raise Unavailable(why_not(entry, self._seconds), control=self.name)
        finally:
            writer.unreserve()

    @property
    def folder(self) -> Path | None:
        """The folder of the files; None with a `Sink` of your own."""
        return self._folders[0] if self._folders else None

    @property
    def holders(self) -> tuple[tuple[Path, ...], int]:
        """Folders of the log, and in how many of them a record that was accepted is at least."""
        return self._holders

    def health(self) -> dict[str, str | int | bool | None]:
        """How it is doing: what waits, what could not be written, and under "problem" what is wrong."""
        return self._writer.health()

    @property
    def lost(self) -> int:
        """Records that could not be written any more because the log was closed first."""
        return self._writer.lost

    def __repr__(self) -> str:
        return f"AuditLog({str(self._folders[0]) if self._folders else '<sink>'!r}, name={self.name!r})"

    # -- records

    def _check_key_file(self) -> None:
        for folder in self._folders:
            self._keys.refuse_inside(folder)

    def _intent(self, call: Call, sealed: Sealed, writer: Writer) -> Entry:
        members = self._about("intent" if call.canary is None else "canary", call, sealed)
        if writer is not self._writer:
            members["emergency"] = '"emergency":true'
        add_trace(members)
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
        stated = stated_class(message)
        if isinstance(stated, str):
            members["message_class"] = fields.word("message_class", stated)
        if self._level == "masked" and parts:
            if call.is_masked:
                record.text(members, parts, self._bounds.record_bytes)
            else:
                members["text_omitted"] = fields.word("text_omitted", "not masked")
        if key is not None:
            members["message_key"] = f'"message_key":{quote(digests.identifier(key, tenant))}'
        return members

    def _reply_digest(self, reply: object, call: Call) -> str | None:
        """The keyed digest of a reply that is text, or of the id that a provider gave the message."""
        if reply is None:
            return None
        named = reply if isinstance(reply, str) else _provider_id(reply)
        return None if not named else self._digests.reply(named[:_REPLY_CHARACTERS], call.message.tenant)

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
        return id_of(entry)

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


def _provider_id(reply: object) -> str | None:
    """What providers call a message: Twilio's `sid`, others' `id` or `message_id`; of an object or a dict."""
    for name in ("sid", "message_id", "id"):
        found = reply.get(name) if isinstance(reply, dict) else getattr(reply, "__dict__", {}).get(name)
        if isinstance(found, str) and found:
            return found
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process whose user has no name
        return "unknown"


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


def _render(make: Callable[..., Callable[[fields.Members], bytes]], durability: str, stream: str) -> Any:
    return make(stream=stream, durability=durability)
