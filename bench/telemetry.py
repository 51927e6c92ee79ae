"""
What telemetry costs a send: metrics on, spans on, and off, against the same guard in the same run.

Off is what every guard pays: health, one entry in a ring. It is part of the baseline, and shown against a guard whose pulse
does nothing.
"""

# ruff: noqa: ARG001, D102 - sends take what real ones take

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from measure import effort, headline, interleaved, judged, packages, repeated, row
from opentelemetry.sdk.trace import TracerProvider
from spans import ways

from guardrails import Call, Guard, Limit, MaskPII, RateLimit
from guardrails.core.control import Forward, Io
from guardrails.core.health import Pulse
from guardrails.core.observe import observe, stop_observing, tell
from guardrails.telemetry.metrics import Metrics
from guardrails.telemetry.spans import Spans

TO = "+12125550173"
BODY = "Your parcel arrives on Tuesday between nine and eleven."
CALLS = 4_000
BUDGET_US = 2.0


class PassThrough:
    """The least that a control can be."""

    name = "pass_through"

    async def guard(self, call: Call, forward: Forward, _io: Io, /) -> object:
        return await forward(call)


def send(to: str, body: str) -> str:
    return to


def guarded() -> Any:
    return Guard(PassThrough(), PassThrough(), PassThrough(), channel="sms")(send)


def usual() -> Any:
    limit = Limit("1000000/hour", per="recipient", strategy="fixed-window")
    return Guard(RateLimit(limit), MaskPII(names="off"), channel="sms")(send)


def watched(subject: Callable[[], float], observer: Any) -> Callable[[], float]:
    def measure() -> float:
        observe(observer)
        try:
            return subject()
        finally:
            stop_observing(observer)

    return measure


def pulseless(subject: Callable[[], float]) -> Callable[[], float]:
    def measure() -> float:
        beat = Pulse.beat
        Pulse.beat = lambda *_given: None  # type: ignore[method-assign]
        try:
            return subject()
        finally:
            Pulse.beat = beat  # type: ignore[method-assign]

    return measure


def bare_spans(calls: int) -> Callable[[], float]:
    """What the SDK alone takes for a span with eight attributes."""
    tracer = TracerProvider().get_tracer("bench")
    attributes = {f"bench.attribute.{number}": number for number in range(8)}

    def one() -> None:
        tracer.start_span("bench", attributes=attributes).end()

    return repeated(one, calls)


def measured(title: str, one: Any, calls: int, rounds: int) -> None:
    """One guard, without telemetry and with it."""
    subject = repeated(lambda: one(TO, BODY), calls)
    found = interleaved(
        {
            "without health": pulseless(subject),
            "off": subject,
            "metrics": watched(subject, Metrics()),
            "sdk": bare_spans(calls),
        },
        rounds,
    )
    headline(f"Telemetry, sync send, {title}: us per send")
    row("off (health only)", found["off"], found["without health"])
    row("metrics", found["metrics"], found["off"], judged(found["metrics"].above(found["off"]).median * 1e6, BUDGET_US))
    row("a span of the SDK with eight attributes, alone", found["sdk"])


class Kept:
    """Keeps how a send ended, so that an observer can be told of it again and again."""

    def ended(self, send: Any) -> None:
        self.how = send._journey, send.result, send.error  # noqa: SLF001 - a benchmark


def flushed(subject: Callable[[], float], spans: Spans) -> Callable[[], float]:
    """Spans are made between two rounds."""

    def measure() -> float:
        try:
            return subject()
        finally:
            spans.flush()

    return measure


def told(one: Any, calls: int, rounds: int) -> None:
    """
    What an observer takes by itself for a send with notes of a limit and a mask.

    On top of such a send it would drown in the noise of detection.
    """
    kept = Kept()
    observe(kept)
    one(TO, BODY)
    stop_observing(kept)
    subject = repeated(lambda: tell(*kept.how), calls)
    spans = Spans(TracerProvider(), most_waiting=10 * calls)
    try:
        found = interleaved(
            {"metrics": watched(subject, Metrics()), "spans": flushed(watched(subject, spans), spans)}, rounds
        )
    finally:
        spans.uninstall()
    headline("Telemetry alone, of a send through a limit in memory and a mask: us per send")
    for name in ("metrics", "spans"):
        row(name, found[name], None, judged(found[name].median * 1e6, BUDGET_US))


def main(*, quick: bool = False) -> None:
    """Print the figures."""
    work = effort(quick=quick)
    print(packages("platform-guardrails", "opentelemetry-sdk"))
    measured("three pass-through controls", guarded(), work.calls(CALLS), work.rounds)
    send = guarded()
    ways(lambda: send(TO, BODY), work.calls(CALLS // 4), 2 * work.rounds)
    told(usual(), work.calls(CALLS), work.rounds)


if __name__ == "__main__":
    main()
