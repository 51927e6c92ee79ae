"""
kill -9 at random points: at receipt, the gateway, which is another process, finds each message's intent already in the log.

`python -m tests.audit.killing ROUNDS THREADS DURABILITY FOLDER` runs as many as you like.
"""

# ruff: noqa: T201, S311 - a campaign prints what it did; its chance is repeatable, not secret

from __future__ import annotations

import os
import random  # noqa: TID251 - repeatable
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from guardrails.audit import AuditLog, intents, read_records, verify_directory
from guardrails.core.guard import Guard
from guardrails.keys import Keys


def send_for_ever(folder: Path, pipe: int, threads: int, durability: Any) -> None:
    """The process that is killed: it sends, and does nothing else."""
    log = AuditLog(folder, durability=durability, keys=Keys(b"k" * 32), deadline_seconds=30.0)

    @Guard(log, channel="sms")
    def deliver(to: str, body: str, conversation: str) -> None:
        os.write(pipe, f"{conversation}\n".encode() if to and body else b"")

    def work(name: int) -> None:
        for number in range(1_000_000):
            deliver("+12125550173", "hello", f"m-{name}-{number}")

    for name in range(threads):
        threading.Thread(target=work, args=(name,)).start()
    threading.Event().wait()


def one_round(folder: Path, threads: int, durability: str, chance: random.Random) -> int:
    """
    Kill one sender; how many messages the gateway had received.

    Raises:
        AssertionError: A message was received whose intent is not in the log.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            send_for_ever(folder, writer, threads, durability)
        finally:
            os._exit(1)
    os.close(writer)
    wanted, data, killed = chance.randint(1, 25), b"", False
    while chunk := os.read(reader, 4_096):
        data += chunk
        if not killed:
            # These have been received: their intents must be in the log at this moment.
            there = b"".join(path.read_bytes() for path in folder.iterdir())
            for conversation in data[: data.rfind(b"\n")].split(b"\n"):
                assert b'"conversation":"' + conversation + b'"' in there, conversation
            if data.count(b"\n") >= wanted:
                time.sleep(chance.random() / 500)
                os.kill(child, signal.SIGKILL)
                killed = True
    os.waitpid(child, 0)
    os.close(reader)
    received = set(data.decode().split())
    report = verify_directory(folder)
    assert not report.integrity + report.completeness + report.semantics, report.lines()
    assert report.exit_code == 3
    assert received <= {str(one["conversation"]) for one in intents(folder).values()}
    _goes_on(folder)
    return len(received)


def _goes_on(folder: Path) -> None:
    """The next start reports what the dead one left, and goes on in a new stream."""
    log = AuditLog(folder, durability="os", keys=Keys(b"k" * 32))
    log.open()
    log.close()
    genesis = [one for one in read_records(folder) if one["stage"] == "genesis"]
    assert [len(one.get("unclosed", ())) for one in genesis] == [0, 1]
    assert verify_directory(folder).exit_code == 3


def campaign(folder: Path, rounds: int, threads: int, durability: str, seed: int = 7) -> int:
    """So many kills; how many messages had been received in all."""
    chance = random.Random(f"{seed}-{threads}-{durability}")
    return sum(one_round(folder / str(number), threads, durability, chance) for number in range(rounds))


def main() -> None:
    """Run a campaign, and print what it did."""
    rounds, threads, durability, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    received = campaign(folder, rounds, threads, durability)
    print(f"{rounds} kills, {threads} threads, {durability}: {received} messages received, each with its intent in the log")


if __name__ == "__main__":
    main()
