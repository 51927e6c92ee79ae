"""
What a record costs: built, chained, written, and waited for; against bare structlog and against raw write+fdatasync.

The control is driven by itself, through the contract's own steps, so that what is measured is the log and not the guard
around it. Every figure is seconds per record, or per send where a send is two records (intent and outcome).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from least import least_acknowledged, least_inline
from measure import Effort, Subject, effort, headline, interleaved, judged, packages, row

from guardrails.audit import AuditLog, verify_directory
from guardrails.audit.entry import DECISION, FLUSH, Entry
from guardrails.audit.message_record import outcome
from guardrails.core.control import Outcome, Sealed
from guardrails.core.message import Message
from guardrails.core.verdict import Coverage, Note
from guardrails.keys import Keys

PEOPLE = [f"+1212555{number:04d}" for number in range(500)]
BODY = "Your parcel arrives on Tuesday between nine and eleven."
NOTES = (
    Note("rate_limit", "platform", "allow", duration_seconds=4e-6),
    Note("mask_pii", "platform", "allow", duration_seconds=5e-5),
)
SENT = Outcome("sent", duration_seconds=0.1)
NUMBERS = itertools.count()  # no send twice in one log
ROOM = 16_384  # bytes
TASKS = 16
THREADS = 8
SENDS = 4_000  # per round
OS_BUDGET_US = 8.0  # intent and outcome together
BATCHED_BUDGET_US, BATCHED_GOAL_US = 1e6 / 80_000, 1e6 / 100_000  # DESIGN 13, row 8
ACK_BUDGET_US, ACK_GOAL_US = 1e6 / 20_000, 1e6 / 30_000  # DESIGN 13, row 9


class Ports:
    """What a step may wait for, on asyncio and without."""

    def __init__(self, *, awaits: bool) -> None:
        self._awaits = awaits

    async def ask(self, *, blocking: Any = None, awaiting: Any = None) -> object:
        """Core's own rule: await on asyncio where that is offered, else call."""
        return await awaiting() if self._awaits and awaiting is not None else blocking()


class Passage:
    """A call as far as the log uses it."""

    dry_run = False
    canary = None
    is_masked = False
    policy = None

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def at_door(self, step: Any) -> None:
        """Keep the step."""
        self.steps.append(step)

    def is_opaque(self, _identifier: str) -> bool:
        """Every id of this benchmark is."""
        return True


def sealed_messages() -> Iterator[Sealed]:
    """One message to each of five hundred people in turn."""
    messages = [Message(BODY, channel="sms", recipients=(person,), conversation="thread-1") for person in PEOPLE]
    for message in itertools.cycle(messages):
        yield Sealed(message, {}, NOTES, Coverage(1), f"{next(NUMBERS):032x}", "shop.messages:send")


async def one_send(log: AuditLog, sealed: Sealed, ports: Ports) -> None:
    """Intent, nothing, outcome."""
    passage: Any = Passage()

    async def forward(_call: object) -> None:
        (step,) = passage.steps
        await step.commit(sealed, (), ports)
        step.settle(SENT)

    io: Any = ports
    await log.guard(passage, forward, io)


def run(coroutine: Coroutine[Any, Any, object]) -> None:
    """Step a coroutine that never pauses, as core does around a sync send."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("it paused")


def inline(log: AuditLog, sends: int) -> Subject:
    """Seconds per send, written by the caller's thread."""
    messages, ports = sealed_messages(), Ports(awaits=False)

    def measure() -> float:
        begun = time.perf_counter()
        for sealed in itertools.islice(messages, sends):
            run(one_send(log, sealed, ports))
        return (time.perf_counter() - begun) / sends

    return measure


def batched(log: AuditLog, records: int) -> Subject:
    """Seconds per record, intents and outcomes in turn, when nobody waits for a single one: built, chained, written, synced."""
    messages, passage = sealed_messages(), Passage()
    writer: Any = log._writer  # noqa: SLF001 - the batches are what is measured
    scribe: Any = log._scribe  # noqa: SLF001

    def measure() -> float:
        begun = time.perf_counter()
        for sealed in itertools.islice(messages, records // 2):
            intent = scribe.intent(passage, sealed, writer.event_ids(), emergency=False)
            writer.put(Entry(DECISION, intent))
            writer.put(Entry(DECISION, outcome(writer.event_ids(), sealed.send_id, SENT, ROOM)))
        last = Entry(FLUSH, {})
        last.expect()
        writer.put(last)
        assert writer.wait(last, 60.0) == "written"
        return (time.perf_counter() - begun) / (records // 2 * 2)

    return measure


def acknowledged(log: AuditLog, sends: int, tasks: int, loop: asyncio.AbstractEventLoop) -> Subject:
    """Seconds per durable intent, with so many tasks that wait for theirs; the outcomes ride along."""
    messages, ports = sealed_messages(), Ports(awaits=True)

    async def work(count: int) -> None:
        for _ in range(count):
            await one_send(log, next(messages), ports)

    async def measure() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(work(sends // tasks) for _ in range(tasks)))
        return (time.perf_counter() - begun) / (sends // tasks * tasks)

    return lambda: loop.run_until_complete(measure())


def threaded(log: AuditLog, sends: int, threads: int) -> Subject:
    """Seconds per durable intent, with so many threads that wait for theirs."""
    ports = Ports(awaits=False)

    def work(messages: list[Sealed]) -> None:
        for sealed in messages:
            run(one_send(log, sealed, ports))

    def measure() -> float:
        messages = list(itertools.islice(sealed_messages(), sends // threads * threads))
        workers = [threading.Thread(target=work, args=(messages[number::threads],)) for number in range(threads)]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return (time.perf_counter() - begun) / len(messages)

    return measure


def bare_structlog(file: BinaryIO, records: int) -> Subject:
    """The same facts as one structlog event, rendered as JSON to a file: no chain, no digests, no waiting."""
    log = structlog.wrap_logger(
        structlog.BytesLogger(file),
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer(), _encoded],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    ).bind(channel="sms", direction="outbound", operation="shop.messages:send", stage="intent", schema_version=1)
    guards = [{"name": note.control, "layer": note.layer, "verdict": note.verdict, "duration_us": 4} for note in NOTES]

    def measure() -> float:
        begun = time.perf_counter()
        for number in range(records):
            log.msg("intent", send_id=f"{number:032x}", characters=len(BODY), guards=guards, conversation="thread-1")
        return (time.perf_counter() - begun) / records

    return measure


def _encoded(_logger: object, _method: str, line: Any) -> bytes:
    return bytes(line, "ascii")


def raw(descriptor: int, records: int, *, synced: bool) -> Subject:
    """700 bytes and nothing else."""
    line = b"x" * 699 + b"\n"

    def measure() -> float:
        begun = time.perf_counter()
        for _ in range(records):
            os.write(descriptor, line)
            if synced:
                os.fdatasync(descriptor)
        return (time.perf_counter() - begun) / records

    return measure


def show(work: Effort, home: Path, loop: asyncio.AbstractEventLoop) -> None:
    """Measure and print."""
    keys = Keys.ephemeral()
    inlined = AuditLog(home / "os", durability="os", keys=keys)
    durable = AuditLog(home / "fsync", keys=keys)
    inlined.open()
    durable.open()
    sends = work.calls(SENDS)
    with (home / "structlog.jsonl").open("ab") as file, (home / "raw").open("ab", buffering=0) as plain:
        names = (
            "bare structlog, JSON to a file",
            "raw write of 700 bytes",
            "raw write and fdatasync",
            'intent and outcome, durability="os"',
            "batched, chained, synced: one record",
            "durable ack, 1 task",
            f"durable ack, {TASKS} tasks",
            "durable ack, 256 tasks",
            f"durable ack, {THREADS} threads",
            "least log, intent and outcome",
            f"least log, durable ack, {TASKS} tasks",
        )
        subjects: list[Subject] = [
            bare_structlog(file, sends),
            raw(plain.fileno(), sends, synced=False),
            raw(plain.fileno(), max(10, sends // 20), synced=True),
            inline(inlined, sends),
            batched(durable, sends),
            acknowledged(durable, max(10, sends // 10), 1, loop),
            acknowledged(durable, sends, TASKS, loop),
            acknowledged(durable, max(512, sends), 256, loop),
            threaded(durable, max(80, sends // 4), THREADS),
            least_inline(plain.fileno(), sends),
            least_acknowledged(plain.fileno(), sends, TASKS, loop),
        ]
        found = interleaved(dict(zip(names, subjects, strict=True)), work.rounds)
    inlined.close()
    durable.close()
    for folder in ("os", "fsync"):
        assert verify_directory(home / folder).exit_code == 0
    log_base, _, synced_base, written, batch, *acks = (found[name] for name in names[:9])
    least, least_ack = (found[name] for name in names[9:])
    headline("Records, microseconds each; ratio to the baseline above it")
    row(names[0], log_base)
    row(names[4], batch, log_base, judged(batch.median * 1e6, BATCHED_BUDGET_US, BATCHED_GOAL_US))
    row(names[1], found[names[1]])
    row(names[3], written, found[names[1]], judged(written.median * 1e6, OS_BUDGET_US))
    row(names[9], least, found[names[1]], "(bench/least.py)")
    row(names[2], synced_base)
    row(names[10], least_ack, synced_base, "(bench/least.py)")
    for name, ack in zip(names[5:9], acks, strict=True):
        budget = judged(ack.median * 1e6, ACK_BUDGET_US, ACK_GOAL_US) if name == names[6] else ""
        row(name, ack, synced_base, budget)
    print(f"  {1 / batch.median:,.0f} records/s batched; {1 / acks[1].median:,.0f} durable acks/s with {TASKS} tasks")
    inline_ratio, ack_ratio = written.median / least.median, acks[1].median / least_ack.median
    print(f"  {inline_ratio:.1f} times the least log inline, {ack_ratio:.1f} times its acks")


def main(*, quick: bool = False) -> None:
    """Print the table."""
    work = effort(quick=quick)
    print(f"{packages('platform-guardrails', 'structlog')}; median of {work.rounds} interleaved rounds")
    loop = asyncio.new_event_loop()
    try:
        with tempfile.TemporaryDirectory(prefix="guardrails-bench-") as home:
            show(work, Path(home), loop)
    finally:
        loop.close()


if __name__ == "__main__":
    main()
