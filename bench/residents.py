"""
What stays while messages come: memory of a process, and how long an event loop stands still under 200 sends at once.

Memory is the peak of a process of its own after 300 messages. Patterns run in the loop up to 4 KiB; longer texts, those that are
dense with numbers, and the name model in worker threads: no callback holds the loop longer than 4 KiB of ordinary text take.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import ClassVar

from guardrails import AuditLog, Guard, MaskPII

SENDS = 200
RSS = """
import pathlib, re
from bench.detection import analyzing, corpus, presidio, with_spacy
from guardrails.pii import MaskPII
work = {made}
for text in corpus(300):
    work(text)
status = pathlib.Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""
MADE = {
    "Presidio (NoOp), all its English recognizers": "analyzing(presidio(same_entities=False))",
    "Presidio + en_core_web_sm": "analyzing(with_spacy())",
    "ours, patterns": "MaskPII(names='off').find",
    "ours, with names": "MaskPII().find",
}
SENTENCE = "Hi, your order 0012345 has shipped; call +1 212 555 0173 or write to ann@example.com. "


def memory() -> None:
    """Peak memory of fresh processes."""
    print("\nmemory, MB at the peak of a process of its own")
    for name, made in MADE.items():
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", RSS.format(made=made)], capture_output=True, text=True, check=False
        )
        print(f"  {name:52} {done.stdout.strip() or 'not installed':>9}")


class Timed(asyncio.events.Handle):
    """Times each callback of a loop: as long as one runs, no other does."""

    held: ClassVar[list[tuple[float, float]]] = []  # wall and processor seconds

    def _run(self) -> None:
        begun, used = time.perf_counter(), time.thread_time()
        super()._run()
        self.held.append((time.perf_counter() - begun, time.thread_time() - used))


async def everybody(send: Callable[[str, str], Awaitable[object]], text: str) -> None:
    """200 sends of *text* at once."""
    await asyncio.gather(*(send(f"+1212555{number:04d}", text) for number in range(SENDS)))


def loop_latency() -> None:
    """200 sends at once through a whole guard."""
    from bench.detection import corpus  # noqa: PLC0415 - loads presidio, which is no part of the memory above

    patterns = MaskPII(names="off")
    ordinary = " ".join(corpus(60))[:4_096]
    shown = {
        "short messages, patterns (in the loop)": (patterns, SENTENCE),
        "4 KiB of ordinary text each, patterns (in the loop)": (patterns, ordinary),
        "4 KiB of numbers and addresses each (in workers)": (patterns, SENTENCE * (4_096 // len(SENTENCE))),
        "4 KiB of digits each (in workers)": (patterns, ("0307 946 0958 1.2.3.4 " * 187)[:4_096]),
        "20 KiB each, patterns (in workers)": (patterns, SENTENCE * (20_480 // len(SENTENCE))),
        "short messages, with names (in workers)": (MaskPII(cache=0), SENTENCE),
    }
    took = median(_seconds(patterns, ordinary) for _ in range(9))
    collects = median(_collects() for _ in range(5))
    # As docs/how-to/measure-the-cost.md advises: else what is seen here is the collector, going through all that is loaded.
    gc.freeze()
    print(
        "\nhow long a callback holds the event loop, 200 sends at once, milliseconds\n"
        f"  4 KiB of ordinary text take {took * 1e3:.1f}; a full garbage collection took {collects * 1e3:.0f} before gc.freeze()"
    )
    print(f"  {'':52} {'CPU p50':>9} {'CPU p99':>9} {'CPU most':>9} {'wall most':>9}")
    asyncio.events.Handle = Timed  # type: ignore[misc]  # what call_soon of every loop makes
    for name, (control, text) in shown.items():
        with tempfile.TemporaryDirectory() as folder:
            control.deadline_seconds = 600.0  # type: ignore[attr-defined]  # 200 at once may take their time
            guard = Guard(AuditLog(folder, durability="os"), control, channel="sms")

            @guard
            async def send(to: str, body: str) -> str:
                return f"{to}{len(body)}"

            Timed.held.clear()
            with asyncio.Runner() as runner:
                runner.run(everybody(send, text))
            guard.close()
        used = sorted(each for _, each in Timed.held)
        wall = max(each for each, _ in Timed.held)
        figures = (median(used), used[int(len(used) * 0.99)], used[-1], wall)
        print(f"  {name:52} {' '.join(f'{each * 1e3:9.2f}' for each in figures)}")


def _collects() -> float:
    begun = time.thread_time()
    gc.collect()
    return time.thread_time() - begun


def _seconds(control: MaskPII, text: str) -> float:
    begun = time.thread_time()
    control.mask(text)
    return time.thread_time() - begun


def main() -> None:
    """Print both."""
    memory()
    loop_latency()


if __name__ == "__main__":
    main()
