"""
Ways to make a span of a send: what each takes of the thread that sends, and of the process.

Processor time, not time: what another thread does meanwhile, or another program, is not counted. "at once" and "later" are
`Spans`; the others are here to be measured. docs/adr/0047 says what came of it.
"""

# ruff: noqa: D102 - observers, each one way

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from measure import Timed, interleaved, judged
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, TraceFlags, get_current_span

from guardrails.core.observe import Ending, observe, stop_observing
from guardrails.telemetry.spans import Spans

BUDGET_US = 2.0
SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def attributes_of(ending: Ending) -> dict[str, Any]:
    """What a span of a send says."""
    plan = ending.plan
    said: dict[str, Any] = {
        "guardrails.operation": plan.operation,
        "guardrails.channel": plan.channel,
        "guardrails.direction": plan.direction,
        "guardrails.result": ending.result,
    }
    return said | {f"guardrails.control.{slot.name}.duration_us": round(took * 1e6) for slot, took in ending.controls()}


class AskedFirst:
    """At once, but no attribute is put together before the sampler has said yes."""

    def __init__(self, provider: TracerProvider) -> None:
        self.tracer = provider.get_tracer("bench")

    def ended(self, ending: Ending, /) -> None:
        span = self.tracer.start_span("guardrails sms")
        if span.is_recording():
            span.set_attributes(attributes_of(ending))
        span.end()


class Events:
    """At once, with an event for each control in the place of an attribute."""

    def __init__(self, provider: TracerProvider) -> None:
        self.tracer = provider.get_tracer("bench")

    def ended(self, ending: Ending, /) -> None:
        plan = ending.plan
        span = self.tracer.start_span("guardrails sms", attributes={"guardrails.operation": plan.operation})
        for slot, took in ending.controls():
            span.add_event(slot.name, {"guardrails.duration_us": round(took * 1e6)})
        span.end()


class Direct:
    """At once, past tracer and sampler: a finished span is handed to the provider's processor."""

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.ids = RandomIdGenerator()

    def ended(self, ending: Ending, /) -> None:
        self.hand_over(get_current(), attributes_of(ending), time.time_ns())

    def hand_over(self, context: Any, attributes: dict[str, Any], end: int) -> None:
        parent = get_current_span(context).get_span_context()
        known = parent.is_valid
        trace = parent.trace_id if known else self.ids.generate_trace_id()
        self.provider._active_span_processor.on_end(  # noqa: SLF001 - there is no public way to do this
            ReadableSpan(
                "guardrails sms",
                SpanContext(trace, self.ids.generate_span_id(), is_remote=False, trace_flags=SAMPLED),
                parent if known else None,
                self.provider.resource,
                attributes,
                start_time=end,
                end_time=end,
            )
        )


class DirectLater(Direct):
    """The same, later."""

    def __init__(self, provider: TracerProvider) -> None:
        super().__init__(provider)
        self.kept: list[tuple[Any, dict[str, Any], int]] = []

    def ended(self, ending: Ending, /) -> None:
        self.kept.append((get_current(), attributes_of(ending), time.time_ns()))

    def flush(self) -> None:
        for one in self.kept:
            self.hand_over(*one)
        self.kept.clear()


def _never() -> TracerProvider:
    return TracerProvider(sampler=ALWAYS_OFF)


WAYS: dict[str, Callable[[], Any]] = {
    "at once: Spans(most_waiting=0)": lambda: Spans(TracerProvider(), most_waiting=0),
    "at once, none sampled": lambda: Spans(_never(), most_waiting=0),
    "at once, sampler asked first": lambda: AskedFirst(TracerProvider()),
    "at once, sampler asked first, none sampled": lambda: AskedFirst(_never()),
    "at once, an event for each control": lambda: Events(TracerProvider()),
    "at once, past tracer and sampler": lambda: Direct(TracerProvider()),
    "later, past tracer and sampler": lambda: DirectLater(TracerProvider()),
    "later, none sampled": lambda: Spans(_never()),
    "later: Spans(), the default": lambda: Spans(TracerProvider()),
}


class _Measured:
    """A guard while one observer watches: processor seconds of this thread until the send returns, and of the whole process."""

    def __init__(self, send: Callable[[], object], observer: Any, calls: int) -> None:
        self.send, self.observer, self.calls = send, observer, calls
        self.process: list[float] = []

    def __call__(self) -> float:
        if self.observer is not None:
            observe(self.observer)
        process, mine = time.process_time(), time.thread_time()
        for _ in range(self.calls):
            self.send()
        took = time.thread_time() - mine
        flush = getattr(self.observer, "flush", None)
        if flush is not None:
            flush()
        self.process.append((time.process_time() - process) / self.calls)
        if self.observer is not None:
            stop_observing(self.observer)
        return took / self.calls


def ways(send: Callable[[], object], calls: int, rounds: int) -> None:
    """
    Print a table.

    Args:
        send: One guarded call.
        calls: In a round; fewer than a backlog holds.
        rounds: To take turns in.
    """
    off = _Measured(send, None, calls)
    subjects = {name: _Measured(send, make(), calls) for name, make in WAYS.items()}
    found = interleaved({"off": off, **subjects}, rounds)
    print("\nWays to make a span, processor time on top of a send: us per send")
    print(f"  {'':44} {'sender':>9} {'process':>9}")
    for name, one in subjects.items():
        sender = found[name].above(found["off"]).median * 1e6
        process = Timed(one.process[-rounds:]).above(Timed(off.process[-rounds:])).median * 1e6
        print(f"  {name:44} {sender:9.2f} {process:9.2f}  {judged(sender, BUDGET_US)}")
    for one in subjects.values():
        if isinstance(one.observer, Spans):
            one.observer.uninstall()
