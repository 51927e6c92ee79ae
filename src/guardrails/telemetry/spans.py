"""
One OpenTelemetry span for each send, made when it is over: names, results, types and counts; nothing of a message.

A span costs far more than metrics do, most of it in the SDK; `Spans(...).install()` is for who wants them.
"""

from __future__ import annotations

import time
from functools import lru_cache
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
        plan = send.plan
        end = time.time_ns()
        took = send.send_seconds
        attributes: dict[str, Any] = {
            "guardrails.operation": plan.operation,
            "guardrails.channel": plan.channel,
            "guardrails.direction": plan.direction,
            "guardrails.result": send.result,
        }
        for slot, seconds in send.controls:
            took += seconds
            attributes[_duration_of(slot.name)] = round(seconds * 1e6)
        _say_more(send, attributes)
        span = self._tracer.start_span(
            _span_name(plan.channel), kind=SpanKind.INTERNAL, attributes=attributes, start_time=end - int(took * 1e9)
        )
        if send.result not in _GOOD:
            span.set_status(Status(StatusCode.ERROR, send.result))
        span.end(end)


def _say_more(send: Ended, attributes: dict[str, Any]) -> None:
    """What not every send has."""
    if send.error_type is not None:
        attributes["error.type"] = send.error_type
    for name, value in (("control", send.control), ("limit", send.limit), ("send_id", send.send_id)):
        if value is not None:
            attributes[f"guardrails.{name}"] = value
    for said in send.said:
        for each in said.findings.values():
            for finding in each:
                name = f"guardrails.findings.{finding.type}"
                attributes[name] = attributes.get(name, 0) + 1


@lru_cache(maxsize=1_024)
def _duration_of(control: str) -> str:
    return f"guardrails.control.{control}.duration_us"


@lru_cache(maxsize=1_024)
def _span_name(channel: str) -> str:
    return f"guardrails {channel}"
