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

from guardrails import Call, Guard
from guardrails.core.control import Forward, Io
from guardrails.core.health import Pulse
from guardrails.core.observe import observe, stop_observing
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


def main(*, quick: bool = False) -> None:
    """Print the figures."""
    work = effort(quick=quick)
    calls = work.calls(CALLS)
    one = guarded()
    subject = repeated(lambda: one(TO, BODY), calls)
    found = interleaved(
        {
            "without health": pulseless(subject),
            "off": subject,
            "metrics": watched(subject, Metrics()),
            "spans": watched(subject, Spans(TracerProvider())),
        },
        work.rounds,
    )
    print(packages("platform-guardrails", "opentelemetry-sdk"))
    headline("Telemetry, sync send, three pass-through controls: us per send")
    row("off (health only)", found["off"], found["without health"])
    row("metrics", found["metrics"], found["off"], judged(found["metrics"].above(found["off"]).median * 1e6, BUDGET_US))
    row("spans, no exporter", found["spans"], found["off"])


if __name__ == "__main__":
    main()
