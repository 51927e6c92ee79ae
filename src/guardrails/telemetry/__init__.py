"""
Masks what an application says about itself: log lines and spans. The masker is passed in, such as `MaskPII().mask`.

`MaskingFilter` for `logging`, `masking_processor` for structlog, `MaskingSpanExporter` and `MaskingLogExporter` (in
`guardrails.telemetry.otel`) for OpenTelemetry.
"""

from guardrails.telemetry.logs import MaskingFilter, masking_processor
from guardrails.telemetry.values import Mask

__all__ = ["Mask", "MaskingFilter", "masking_processor"]
