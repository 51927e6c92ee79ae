"""
What evidence costs: verifying, signing, proving; and what a send feels of a disk that stands still for two seconds.

Verification is of one stream on one core, in records a second of processor time, so that a busy machine does not count. The
stalled disk is a sink whose write sleeps once; sends go on meanwhile, as many at a time as there are tasks.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.measure import packages
from guardrails import Guard, Unavailable
from guardrails.audit import AuditLog, DirectoryAnchor, Ed25519Signer, JsonlDirectory, verifier_key, verify_directory
from guardrails.audit.entry import DECISION, FLUSH, Entry
from guardrails.audit.merkle import Tree
from guardrails.audit.message_record import about, guards, outcome
from guardrails.audit.note import signed_checkpoint
from guardrails.audit.proof import prove
from guardrails.core.control import Outcome, Sealed
from guardrails.core.message import Message
from guardrails.core.verdict import Coverage, Note
from guardrails.keys import Keys

RECORDS = 600_000
GOAL = 300_000  # records a second and core
KEYS = Keys(b"k" * 32)
NOTES = (
    Note("rate_limit", "platform", "allow", duration_seconds=4e-6, detail={"limit": "recipient/minute", "remaining": 4}),
    Note("mask_pii", "platform", "allow", duration_seconds=5e-5),
)
PERSON = '{"digest":"hmac-sha256:b10c35ee1cb6:Afrf-HcW3AH7-0vj8ZY643tlSERHY1j2sB407GruzrY","kind":"phone"}'
DIGEST = "hmac-sha256:d0adb4878ccd:oUUKKZeMBf3phUNlP_9h9aGtR7_CU8xSHb6dDd8sUfo"
STALL_SECONDS = 2.0
TASKS = 16


def new_signer(folder: Path) -> Ed25519Signer:
    """A key for one run; `trust` in the same folder holds its public half."""
    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(key)
    signer = Ed25519Signer(folder / "key.pem", name="audit.example.com")
    (folder / "trust").write_text(verifier_key(signer) + "\n")
    return signer


def write(folder: Path, signer: Ed25519Signer, records: int = RECORDS) -> AuditLog:
    """One anchored stream of intents and outcomes."""
    sink = JsonlDirectory(folder / "log", rotate_bytes=2**40)
    log = AuditLog(sink, keys=KEYS, deadline_seconds=60.0, signer=signer, anchors=[DirectoryAnchor(folder / "anchor")])
    log.open()
    writer = log._writer  # noqa: SLF001 - as fast as it goes, without a send
    message = Message("x" * 40, channel="sms", recipients=["+12125550173"], conversation="thread-1")
    for number in range(records // 2):
        send_id = f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"
        members = about(
            "intent", writer.event_ids(), Sealed(message, {}, NOTES, Coverage(1), send_id, "shop:send"), [PERSON], DIGEST
        )
        guards(members, NOTES, 16_384)
        writer.put(Entry(DECISION, members))
        writer.put(Entry(DECISION, outcome(writer.event_ids(), send_id, Outcome("sent", duration_seconds=0.1), 16_384)))
        if number % 20_000 == 0:
            last = Entry(FLUSH, {})
            last.expect()
            writer.put(last)
            writer.wait(last, 60.0)
    log.close()
    return log


def rate(folder: Path, *, anchored: bool) -> tuple[float, float]:
    """Records a second of processor time, and bytes a record."""
    options = {"anchor": folder / "anchor", "trust": folder / "trust"} if anchored else {}
    begun = time.process_time()
    report = verify_directory(folder / "log", **options)
    seconds = time.process_time() - begun
    assert report.exit_code == 0, report.lines()
    records = sum(one.records for one in report.streams)
    size = sum(path.stat().st_size for path in (folder / "log").iterdir())
    return records / seconds, size / records


def verification(folder: Path, signer: Ed25519Signer) -> None:
    """How fast a log is verified, and a record proven."""
    write(folder, signer)
    plain = [rate(folder, anchored=False) for _ in range(3)]
    signed = [rate(folder, anchored=True) for _ in range(3)]
    best = max(one for one, _ in plain)
    print(f"\nVerifying one stream of {RECORDS:,} records, {plain[0][1]:.0f} bytes each, one core")
    print(
        f"  without an anchor   {statistics.median(one for one, _ in plain):>10,.0f} records/s  (best {best:,.0f}; goal {GOAL:,})"
    )
    print(
        f"  with an anchor      {statistics.median(one for one, _ in signed):>10,.0f} records/s  (a Merkle tree over all of it)"
    )
    wanted = f"{(RECORDS // 4) * 0x9E3779B97F4A7C15 % 2**128:032x}"
    begun = time.process_time()
    prove(folder / "log", wanted, anchor=folder / "anchor")
    print(f"  proving one record  {time.process_time() - begun:>10.2f} s")


def signing(signer: Ed25519Signer) -> None:
    """What a checkpoint costs, and what each record pays for it."""
    lines = [b"x" * 600] * 1_000
    begun = time.process_time()
    for _ in range(20):
        tree = Tree()
        for line in lines:
            tree.add(line)
    leaf = (time.process_time() - begun) / 20_000
    begun = time.process_time()
    for number in range(500):
        signed_checkpoint("a" * 32, number, b"r" * 32, signer)
    note = (time.process_time() - begun) / 500
    print("\nSigning, microseconds of processor time")
    print(f"  a leaf of the tree {leaf * 1e6:6.2f}   a note {note * 1e6:6.1f}")
    print(f"  a record, with a checkpoint every 1,000 {(leaf + note / 1_000) * 1e6:6.2f}")


class Stalling(JsonlDirectory):
    """A disk that stands still once."""

    stall_at = 0.0

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """As it should, or two seconds late."""
        if self.stall_at and time.monotonic() >= self.stall_at:
            self.stall_at = 0.0
            time.sleep(STALL_SECONDS)
        super().write(lines, durable=durable)


async def during_a_stall(folder: Path, deadline_seconds: float) -> None:
    """Sends by so many tasks for six seconds, in the middle of which the disk stalls."""
    sink = Stalling(folder / f"stall-{deadline_seconds}")
    log = AuditLog(sink, keys=KEYS, deadline_seconds=deadline_seconds)
    took: list[float] = []
    refused = 0

    @Guard(log, channel="sms")
    async def send(to: str, body: str) -> None:
        assert to
        assert body

    await send("+12125550173", "hello")
    begun = time.monotonic()
    sink.stall_at = begun + 2.0

    async def work() -> None:
        nonlocal refused
        while time.monotonic() < begun + 6.0:
            at = time.perf_counter()
            try:
                await send("+12125550173", "hello")
            except Unavailable:
                refused += 1
            took.append(time.perf_counter() - at)
            await asyncio.sleep(0.002)

    await asyncio.gather(*(work() for _ in range(TASKS)))
    log.close()
    assert verify_directory(sink.folder).exit_code == 0
    took.sort()
    p50, p99 = (took[int(len(took) * part)] for part in (0.5, 0.99))
    print(
        f"  deadline {deadline_seconds:3.1f} s: p50 {p50 * 1e3:6.2f} ms   p99 {p99 * 1e3:7.2f} ms"
        f"   longest {took[-1] * 1e3:7.0f} ms   {len(took):,} sends, {refused:,} refused"
    )


def main() -> None:
    """Print the tables."""
    print(packages("platform-guardrails", "cryptography"))
    with tempfile.TemporaryDirectory(prefix="guardrails-bench-") as home:
        folder = Path(home)
        signer = new_signer(folder)
        signing(signer)
        print(f"\nA disk that stalls for {STALL_SECONDS:.0f} s, {TASKS} tasks that send")
        for seconds in (0.5, 5.0):
            asyncio.run(during_a_stall(folder, seconds))  # noqa: TID251 - a script owns its loop
        verification(folder, signer)


if __name__ == "__main__":
    main()
