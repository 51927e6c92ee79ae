"""Which trace a send belongs to, if the application traces with OpenTelemetry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardrails.audit.fields import Members


def add_trace(members: Members) -> None:
    """Add the ids of the span that is open here; nothing where nobody has loaded OpenTelemetry."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        members["trace_id"] = f'"trace_id":"{context.trace_id:032x}"'
        members["span_id"] = f'"span_id":"{context.span_id:016x}"'
