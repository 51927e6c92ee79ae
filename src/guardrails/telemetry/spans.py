"""
One OpenTelemetry span for each send: names, results, types and counts; nothing of a message.

What a span is made of is put aside when the send is over, and a thread of its own makes it: the SDK takes some 20 us for a
span, and who sends does not wait for that (docs/adr/0047). The span has the times of the send, and is made in its context.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from guardrails.core.observe import Ending, observe, stop_observing
from guardrails.errors import ConfigError
from guardrails.telemetry.backlog import Backlog

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from guardrails.core.plan import Plan

try:
    from opentelemetry.context import attach, detach, get_current
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer_provider
except ImportError:
    _missing = True
else:
    _missing = False
if _missing:
    raise ConfigError("opentelemetry-sdk is not installed: pip install 'platform-guardrails[otel]'")

__all__ = ["MOST_WAITING", "Spans"]

MOST_WAITING: Final = 8_192  # some 4 MB
_Past: TypeAlias = list[Any]  # `Ending.gist`, then the context of the send, and the types that were found
_GOOD: Final = ("sent", "replied")


class Spans:
    """
    Makes spans, in the context in which the send was called.

    Args:
        tracer_provider: The application's; the global one unless given.
        most_waiting: Sends that wait to become spans; the spans of more are left out, and counted
            (`guardrails_spans_left_out_total`). With 0 the thread that sends makes the span itself, before the send returns: for
            processes that are frozen between two calls.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, *, most_waiting: int = MOST_WAITING) -> None:
        if isinstance(most_waiting, bool) or not isinstance(most_waiting, int) or most_waiting < 0:
            raise ConfigError("Spans(most_waiting=...) takes a number of sends, 0 or more")
        self._tracer = (tracer_provider or get_tracer_provider()).get_tracer("guardrails")
        self._backlog: Backlog[_Past] = Backlog(self._make, most=most_waiting, name="guardrails-spans")

    def install(self) -> Self:
        """Make spans from now on."""
        observe(self)
        return self

    def uninstall(self) -> None:
        """Make those of the sends that are over, and no more."""
        stop_observing(self)
        self._backlog.close()

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """
        Make the spans of all sends that are over, in this thread; call it before `TracerProvider.force_flush()`.

        Args:
            timeout_seconds: Stop after so long; None for never.

        Returns:
            Whether all are made.
        """
        return self._backlog.flush(timeout_seconds)

    def ended(self, ending: Ending, /) -> None:
        """One send is over."""
        found: list[str] | None = None
        for _, _, findings, _, _ in ending.notes or ():
            if findings:
                found = [*(found or ()), *[one.type for each in findings.values() for one in each]]
        past = ending.gist()
        past.append(get_current())
        past.append(found)
        self._backlog.put(past)

    def _make(self, past: _Past) -> None:
        plan, result, why, send_id, started, ended, *controls, context, found = past
        end = time_ns() - int((monotonic() - ended) * 1e9)  # by the wall clock
        took = ended - started if started else 0.0
        durations: dict[str, int] = {}
        for slot, seconds in zip(controls[::2], controls[1::2], strict=True):
            took += seconds
            durations[_duration_of(slot.name)] = round(seconds * 1e6)
        token = attach(context)
        try:
            span = self._tracer.start_span(
                _span_name(plan.channel),
                context=context,
                kind=SpanKind.INTERNAL,
                attributes=_attributes(plan, result, why, found, send_id),
                start_time=end - int(took * 1e9),
            )
            if span.is_recording():  # what no sampler asks for is not put together for nothing
                span.set_attributes(durations)
                if result not in _GOOD:
                    span.set_status(Status(StatusCode.ERROR, result))
            span.end(end)
        finally:
            detach(token)


def _attributes(
    plan: Plan, result: str, why: Iterable[str | None] | None, found: Iterable[str] | None, send_id: str | None
) -> dict[str, Any]:
    """All but durations."""
    attributes: dict[str, Any] = {
        "guardrails.operation": plan.operation,
        "guardrails.channel": plan.channel,
        "guardrails.direction": plan.direction,
        "guardrails.result": result,
    }
    if why is not None:
        said = zip(("error.type", "guardrails.control", "guardrails.limit"), why, strict=True)
        attributes |= {name: value for name, value in said if value is not None}
    if send_id is not None:
        attributes["guardrails.send_id"] = send_id
    if found is not None:
        attributes |= {f"guardrails.findings.{kind}": count for kind, count in Counter(found).items()}
    return attributes


@lru_cache(maxsize=1_024)
def _duration_of(control: str) -> str:
    return f"guardrails.control.{control}.duration_us"


@lru_cache(maxsize=1_024)
def _span_name(channel: str) -> str:
    return f"guardrails {channel}"
