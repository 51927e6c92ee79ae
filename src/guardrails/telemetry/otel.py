"""
OpenTelemetry exporters that mask: spans (attributes, events, links, status) and log records (body, attributes).

Exporters are wrapped, because a span is read-only once it has ended, and processors must not raise.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, Final

from guardrails.errors import ConfigError
from guardrails.telemetry.values import Mask, Masked

try:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Link, Status
except ImportError:
    _missing = True
else:
    _missing = False
if _missing:
    raise ConfigError("opentelemetry-sdk is not installed, or older than 1.39: pip install 'platform-guardrails[otel]'")

__all__ = ["MaskingLogExporter", "MaskingSpanExporter"]

_SKIP: Final = frozenset({"telemetry.sdk.name", "service.name", "gen_ai.request.model", "gen_ai.response.model"})


class MaskingSpanExporter(SpanExporter):
    """
    An exporter behind which spans hold no personal data.

    Args:
        exporter: Sends the masked spans.
        mask: Gives masked text and findings, such as `MaskPII().mask`.
        skip: Attributes that are left alone.
    """

    def __init__(self, exporter: SpanExporter, mask: Mask, *, skip: Collection[str] = ()) -> None:
        self._exporter = exporter
        self._masked = Masked(mask, _SKIP | frozenset(skip))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Mask, then export."""
        return self._exporter.export([self._span(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def _attributes(self, attributes: Any) -> dict[str, Any]:
        return self._masked.mapping(attributes or {})

    def _span(self, span: ReadableSpan) -> ReadableSpan:
        status = span.status
        description = status.description and self._masked.text(status.description)
        return ReadableSpan(
            name=self._masked.text(span.name),
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[
                Event(self._masked.text(one.name), self._attributes(one.attributes), one.timestamp) for one in span.events
            ],
            links=[Link(one.context, self._attributes(one.attributes)) for one in span.links],
            kind=span.kind,
            status=Status(status.status_code, description),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )


class MaskingLogExporter(LogRecordExporter):
    """
    An exporter behind which log records hold no personal data, neither in their bodies nor in their attributes.

    Args:
        exporter: Sends the masked records.
        mask: Gives masked text and findings, such as `MaskPII().mask`.
        skip: Attributes that are left alone.
    """

    def __init__(self, exporter: LogRecordExporter, mask: Mask, *, skip: Collection[str] = ()) -> None:
        self._exporter = exporter
        self._masked = Masked(mask, _SKIP | frozenset(skip))

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Mask, then export; other handlers of the same records see them as they were."""
        return self._exporter.export([self._record(one) for one in batch])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # of OpenTelemetry

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def _record(self, record: ReadableLogRecord) -> ReadableLogRecord:
        twin: Any = copy.copy(record.log_record)
        twin.body = self._masked.value(twin.body)
        twin.attributes = self._masked.mapping(twin.attributes or {})
        twin.exception = None  # what an exporter needs of it stands in the attributes
        return dataclasses.replace(record, log_record=twin)
