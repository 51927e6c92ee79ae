"""
What a policy costs: reading one for 1,000 tenants, choosing the controls of a message, and changing it under load.

Figures: medians of the runs; ratios and differences within one run.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from guardrails import Call, Guard, Limit, MaskPII, RateLimit, from_policy
from guardrails.core.control import Forward, Io
from guardrails.policy import Policy
from guardrails.policy.version import read_version

TENANTS = 1_000


class Sign:
    """Adds a sign to the text: whether a message met two policies can be read from it."""

    class Settings(BaseModel):
        """Which sign."""

        sign: str

    def __init__(self, settings: Settings) -> None:
        self.sign = settings.sign

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - a control is given it
        """Add it."""
        return await forward(call.with_text(call.message.text + self.sign))


TO = "+12125550173"
SENDS = 20_000
ROUNDS, BATCH = 400, 100
HEAD = """\
version: 1
platform:
  limits:
    person: {rate: 1000000/hour, per: recipient, strategy: sliding-window-counter}
  mask: {names: "off", operators: {EMAIL_ADDRESS: block}}
channels:
  sms: {limits: {person: {rate: 900000/hour}}}
"""
EXAMPLES = (
    'examples: [{in: "call +1 212 555 0173", out: "call <PHONE_NUMBER>"}, {in: "ann@example.com", denied_by: mask_pii}]\n'
)


def tenants(number: int) -> str:
    """A policy in which every tenant tightens something of its own."""
    each = "".join(
        f"  tenant-{n}:\n    limits:\n      person: {{rate: {800_000 - n}/hour}}\n      burst: {{rate: {1 + n % 50}/second}}\n"
        "    mask: {operators: {PHONE_NUMBER: redact}, more_entities: [US_ITIN]}\n"
        for n in range(number)
    )
    return f"{HEAD}tenants:\n{each}{EXAMPLES}"


def median(act: Callable[[], object], runs: int = 7) -> str:
    """Seconds on the clock, and of processor time: on a busy machine they differ."""
    clock, processor = [], []
    for _ in range(runs):
        began = time.perf_counter(), time.process_time()
        act()
        clock.append(time.perf_counter() - began[0])
        processor.append(time.process_time() - began[1])
    return f"{statistics.median(clock):.2f} s ({statistics.median(processor):.2f} s of processor time)"


def reading(folder: Path) -> None:
    """Reading, checking and making a policy."""
    path = folder / "many.yaml"
    path.write_text(tenants(TENANTS), encoding="utf-8")
    Policy(path)  # imports and caches
    size = path.stat().st_size / 1024
    print(f"{TENANTS:,} tenants, {size:.0f} KiB: read and checked in {median(lambda: read_version(path))}")
    print(f"  with controls made and examples tried: {median(lambda: Policy(path), 5)}; target 1 s")


def choosing(folder: Path) -> None:
    """A send under a policy against the same guard written in Python."""
    path = folder / "chosen.yaml"
    path.write_text(tenants(50).replace("PHONE_NUMBER: redact", "PHONE_NUMBER: replace"), encoding="utf-8")

    def plain(*, to: str, body: str, org: str) -> None: ...

    def limit(rate: str, name: str) -> Limit:
        return Limit(rate, per="recipient", strategy="sliding-window-counter", name=name)

    mask = MaskPII(names="off", operators={"EMAIL_ADDRESS": "block"})
    mine = Guard(RateLimit(limit("800000/hour", "person")), mask, channel="sms")
    theirs = from_policy(path, channel="sms")
    options = {"text": "body", "recipient": "to", "tenant": "org"}
    sends = (mine.wrap(plain, **options), theirs.wrap(plain, **options))  # type: ignore[arg-type]
    code, differences = [], []
    for turn in range(ROUNDS):
        order = sends if turn % 2 else sends[::-1]  # whoever comes second finds a warmer machine
        taken = {send: batch(send) for send in order}
        code.append(taken[sends[0]])
        differences.append(taken[sends[1]] - taken[sends[0]])
    print(
        f"a send: {statistics.median(code):.2f} us in code, {statistics.median(differences):+.2f} us from a policy "
        f"(processor time, median of {ROUNDS} paired differences; target +1 us)"
    )


def batch(send: Callable[..., object]) -> float:
    """Microseconds of processor time that one of a few sends takes."""
    began = time.thread_time_ns()
    for _ in range(BATCH):
        send(to=TO, body="", org="other")
    return (time.thread_time_ns() - began) / BATCH / 1_000


def changing(folder: Path) -> None:
    """Messages while the policy changes as fast as it can."""
    path = folder / "storm.yaml"
    text = (
        "version: 1\nplatform:\n  checks:\n"
        '    one: {use: "bench.policy:Sign", settings: {sign: "0"}}\n    two: {use: "bench.policy:Sign", settings: {sign: "0"}}\n'
    )
    path.write_text(text, encoding="utf-8")
    guard = from_policy(path)
    bodies: list[str] = []
    send = guard(lambda to, body: bodies.append(body))  # noqa: ARG005 - a send takes both
    over = threading.Event()

    def storm() -> None:
        number = 0
        while not over.is_set():
            number = (number + 1) % 10
            path.write_text(text.replace('"0"', f'"{number}"'), encoding="utf-8")
            guard.reload()

    changer = threading.Thread(target=storm)
    changer.start()
    senders = [threading.Thread(target=lambda: [send(TO, "-") for _ in range(SENDS // 4)]) for _ in range(4)]
    began = time.perf_counter()
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    took = time.perf_counter() - began
    over.set()
    changer.join()
    mixed = sum(len(body) != 3 or body[1] != body[2] for body in bodies)
    print(
        f"{SENDS:,} sends in {took:.1f} s while the policy changed {Policy.at(path).changed} times: "
        f"{SENDS - len(bodies)} lost or doubled, {mixed} under two policies"
    )


def main() -> None:
    """All three."""
    with tempfile.TemporaryDirectory() as folder:
        reading(Path(folder))
        choosing(Path(folder))
        changing(Path(folder))


if __name__ == "__main__":
    main()
