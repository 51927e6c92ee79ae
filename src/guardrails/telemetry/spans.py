"""
One OpenTelemetry span for each send, made when it is over: names, results, types and counts; nothing of a message.

A span costs some microseconds, more than metrics do; `Spans(...).install()` is for who wants them.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

from guardrails.core.observe import Ended, Ending, observe, stop_observing
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

try:
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer_provider
except ImportError:
    _missing = True
else:
    _missing = False
if _missing:
    raise ConfigError("opentelemetry-sdk is not installed: pip install 'platform-guardrails[otel]'")

__all__ = ["Spans"]

_GOOD: Final = ("sent", "replied")


class Spans:
    """
    Makes spans, in the context in which the send was called.

    Args:
        tracer_provider: The application's; the global one unless given.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = (tracer_provider or get_tracer_provider()).get_tracer("guardrails")

    def install(self) -> Self:
        """Make spans from now on."""
        observe(self)
        return self

    def uninstall(self) -> None:
        """Make no more."""
        stop_observing(self)

    def ended(self, ending: Ending, /) -> None:
        """One send is over."""
        send = ending.whole()
        end = time.time_ns()
        took = send.send_seconds + sum(seconds for _, seconds in send.controls)
        span = self._tracer.start_span(
            f"guardrails {send.plan.channel}", kind=SpanKind.INTERNAL, start_time=end - int(took * 1e9)
        )
        if span.is_recording():
            span.set_attributes(_attributes(send))
            if send.result not in _GOOD:
                span.set_status(Status(StatusCode.ERROR, send.result))
        span.end(end)


def _attributes(send: Ended) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "guardrails.operation": send.plan.operation,
        "guardrails.channel": send.plan.channel,
        "guardrails.direction": send.plan.direction,
        "guardrails.result": send.result,
    }
    if send.error_type is not None:
        attributes["error.type"] = send.error_type
    for name, value in (("control", send.control), ("limit", send.limit), ("send_id", send.send_id)):
        if value is not None:
            attributes[f"guardrails.{name}"] = value
    found = Counter(finding.type for said in send.said for each in said.findings.values() for finding in each)
    attributes |= {f"guardrails.findings.{kind}": count for kind, count in found.items()}
    attributes |= {f"guardrails.control.{slot.name}.duration_us": round(took * 1e6) for slot, took in send.controls}
    return attributes
