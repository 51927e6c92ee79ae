"""`AuditLog`: no send without its intent on record, no refusal unrecorded, one outcome for each intent."""

from __future__ import annotations

import getpass
import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from guardrails import address
from guardrails.audit import fields, record, setup
from guardrails.audit.bounds import Bounds
from guardrails.audit.checkpoints import Checkpoints
from guardrails.audit.entry import DECISION, INTENT, WRITTEN, Entry
from guardrails.audit.refusals import Kind
from guardrails.audit.scribe import Scribe, decided
from guardrails.audit.step import Book, IntentStep, put_and_wait, why_not
from guardrails.core.control import DEADLINE_SECONDS
from guardrails.errors import GuardrailsError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardrails.audit.anchors import Anchor
    from guardrails.audit.note import Signer
    from guardrails.audit.setup import Place
    from guardrails.audit.sink import Sink
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.keys import Keys

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
            anchored before its first intent counts; without that, sends are `Unavailable`.
        checkpoint_every: Records between two checkpoints; the last record of a stream that is closed is always anchored.
        checkpoint_seconds: Between two checkpoints, also when nothing is sent.
        anchor_grace_seconds: How long sends go on when an anchor does not take a later checkpoint, or hangs; then they are
            `Unavailable` until one is kept. It bounds how long records lie under no checkpoint. 0: not at all, and the log
            waits for its anchors.
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
        anchor_grace_seconds: float = 300.0,
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
            anchor_grace_seconds=anchor_grace_seconds,
        )
        joined, sinks = setup.read_sinks(
            sink, required=required, min_success=min_success, deadline_seconds=float(deadline_seconds)
        )
        setup.check_sinks(joined, sinks, durability, anchors)
        reserved = None if emergency is None else setup.read_place(emergency, "emergency=...")
        setup.refuse_twice(sinks, reserved)
        # Heavy, and needed as soon as there is an AuditLog; `import guardrails` stays light.
        address.load()

        from guardrails.keys import Keys  # noqa: PLC0415

        self.name = name
        # Core's deadline for this control must not cut off our own, which knows what became of the intent.
        self.deadline_seconds: float = max(DEADLINE_SECONDS, (2 if reserved is None else 3) * float(deadline_seconds))
        self._seconds = float(deadline_seconds)
        self._bounds = bounds or Bounds()
        self._keys = keys or Keys.default()
        self._folders = setup.folders_of(sinks)
        self._holders = setup.holders_of(joined)
        self._check_key_file()
        self._scribe = Scribe(self._keys, level=level, bounds=self._bounds)
        config = setup.described(
            sinks,
            durability=durability,
            level=level,
            deadline_seconds=self._seconds,
            signer=signer,
            checkpoint_every=checkpoint_every,
            checkpoint_seconds=float(checkpoint_seconds),
            anchor_grace_seconds=float(anchor_grace_seconds),
        )
        checkpoints = Checkpoints(signer, anchors, checkpoint_every, float(checkpoint_seconds), float(anchor_grace_seconds))
        make = partial(setup.make_writer, name=name, deadline_seconds=self._seconds, bounds=self._bounds)
        self._writer = make(joined, durability=durability, config=config, checkpoints=checkpoints)
        emergency_writer = None
        if reserved is not None:
            described: dict[str, str | int] = {
                "durability": "fsync",
                "level": level,
                "sink": type(reserved).__name__,
                "emergency": 1,
            }
            none = Checkpoints(None, (), 1, 1.0)
            emergency_writer = make(reserved, durability="fsync", config=described, checkpoints=none)
        self._book = Book(
            name=name,
            seconds=self._seconds,
            deadline_seconds=self.deadline_seconds,
            writer=self._writer,
            emergency=emergency_writer,
            scribe=self._scribe,
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
            step.reply = None if reply is None else self._scribe.reply_digest(reply, call.message.tenant)
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
        self._scribe.try_key()
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

    def digest(self, value: str, tenant: str | None = None) -> str:
        """How an address stands in this log's records, but for `hmac-sha256:`; for `note_config`, which must not hold it."""
        return self._scribe.label(value, tenant)

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
    def holders(self) -> tuple[tuple[Sink, ...], int]:
        """Sinks that hold the log, and in how many of them a record that was accepted is at least."""
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

    def _refused(self, call: Call, error: BaseException | None) -> str | None:
        """Leave one decision record; its id. Never waits, and never raises instead of the refusal."""
        if call.canary is not None:  # its round says what became of it
            return None
        writer = self._writer
        code = type(error).__name__ if error is not None else "none"
        by = getattr(error, "control", None)
        kind = Kind(call.message.channel, by if isinstance(by, str) else "", decided(error), code)
        if writer.is_closed:
            writer.lose_one()
            return None
        try:
            writer.start()
            if not writer.reserve_decision():
                return writer.refusals.count(kind, time.monotonic())
            event_id = writer.event_ids()
            entry = Entry(DECISION, self._scribe.decision(call, kind, error, event_id))
        except Exception as failure:  # noqa: BLE001 - a key, core, or a thread that cannot start: the refusal stands
            _log.error("a refusal could not be recorded by itself (%s): it is counted", type(failure).__name__)
            return writer.refusals.count(kind, time.monotonic())
        writer.put(entry)
        return event_id


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process whose user has no name
        return "unknown"
