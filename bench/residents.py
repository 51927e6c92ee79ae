"""
What stays while messages come: memory of a process, and how long an event loop stands still under 200 sends at once.

Memory is the peak of a process of its own after 300 messages. The loop is asked every millisecond to run a callback; a stall is
how much later it ran. Patterns run in the loop up to 4 KiB, longer texts and the name model in worker threads; beside the
stalls stands what one text of 4 KiB takes.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median, quantiles

from guardrails import AuditLog, Guard, MaskPII

SENDS = 200
RSS = """
import resource, sys
from bench.detection import analyzing, corpus, presidio, with_spacy
from guardrails.pii import MaskPII
work = {made}
for text in corpus(300):
    work(text)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
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


async def stalls(send: Callable[[str, str], Awaitable[object]], text: str) -> list[float]:
    """How late callbacks ran while 200 sends of *text* were under way, seconds, in order."""
    loop = asyncio.get_running_loop()
    late: list[float] = []
    is_over = False

    def tick(due: float) -> None:
        late.append(loop.time() - due)
        if not is_over:
            loop.call_at(loop.time() + 0.001, tick, loop.time() + 0.001)

    loop.call_at(loop.time() + 0.001, tick, loop.time() + 0.001)
    await asyncio.gather(*(send(f"+1212555{number:04d}", text) for number in range(SENDS)))
    is_over = True
    return sorted(late)


def loop_latency() -> None:
    """200 sends at once through a whole guard."""
    patterns = MaskPII(names="off")
    shown = {
        "short messages, patterns": (patterns, SENTENCE),
        "4 KiB each, patterns (in the loop)": (patterns, SENTENCE * (4_096 // len(SENTENCE))),
        "20 KiB each, patterns (in workers)": (patterns, SENTENCE * (20_480 // len(SENTENCE))),
        "short messages, with names (in workers)": (MaskPII(), SENTENCE),
    }
    longest = SENTENCE * (4_096 // len(SENTENCE))
    took = median(_seconds(patterns, longest) for _ in range(9))
    print(f"\nloop latency, 200 sends at once, milliseconds late (one text of 4 KiB takes {took * 1e3:.1f} in this loop)")
    print(f"  {'':52} {'p50':>9} {'p99':>9} {'longest':>9}")
    for name, (control, text) in shown.items():
        with tempfile.TemporaryDirectory() as folder:
            guard = Guard(AuditLog(folder, durability="os"), control, channel="sms", deadline_seconds=120)

            @guard
            async def send(to: str, body: str) -> str:
                return f"{to}{len(body)}"

            with asyncio.Runner() as runner:
                late = runner.run(stalls(send, text))
            guard.close()
        parts = quantiles(late, n=100) if len(late) > 1 else [late[0]] * 99
        print(f"  {name:52} {parts[49] * 1e3:9.2f} {parts[98] * 1e3:9.2f} {late[-1] * 1e3:9.2f}")


def _seconds(control: MaskPII, text: str) -> float:
    begun = time.perf_counter()
    control.mask(text)
    return time.perf_counter() - begun


def main() -> None:
    """Print both."""
    memory()
    loop_latency()


if __name__ == "__main__":
    main()
