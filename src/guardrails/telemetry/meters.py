"""
The same metrics through OpenTelemetry: observable instruments, read when they are exported, so that a send pays nothing more.

OpenTelemetry has no observable histogram; a control's durations are given as quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import ConfigError
from guardrails.telemetry.families import CONTROL_SECONDS, FAMILIES, Family, Sample
from guardrails.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

try:
    from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider
except ImportError:
    _missing = True
else:
    _missing = False
if _missing:
    raise ConfigError("opentelemetry-sdk is not installed: pip install 'platform-guardrails[otel]'")

__all__ = ["export"]

_QUANTILES: Final = (0.5, 0.95, 0.99)
# Where OpenTelemetry has a name for what a label says.
_ATTRIBUTES: Final = {"operation": "guardrails.operation", "channel": "guardrails.channel", "reason": "error.type"}


def export(metrics: Metrics, meter_provider: MeterProvider | None = None) -> None:
    """
    Give *metrics* to OpenTelemetry.

    Args:
        metrics: Installed metrics.
        meter_provider: The application's; the global one unless given.
    """
    meter = (meter_provider or get_meter_provider()).get_meter("guardrails")
    for family in FAMILIES:
        callback = _callback(metrics, family)
        if family.kind == "counter":
            meter.create_observable_counter(family.otel, [callback], family.unit, family.help)
        else:
            meter.create_observable_gauge(family.otel, [callback], family.unit, family.help)


def _callback(metrics: Metrics, family: Family) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observed(_options: CallbackOptions) -> Iterable[Observation]:
        for sample in metrics.samples():
            if sample.family is family:
                yield from _observations(sample)

    return observed


def _observations(sample: Sample) -> Iterable[Observation]:
    family = sample.family
    for values, value in sample.values.items():
        attributes: dict[str, Any] = {
            _ATTRIBUTES.get(label, f"guardrails.{label}"): said
            for label, said in zip(family.labels, values, strict=True)
            if said
        }
        if family is not CONTROL_SECONDS:
            yield Observation(value, attributes)
            continue
        for quantile in _QUANTILES:
            yield Observation(_at(sample, values, quantile), {**attributes, "guardrails.quantile": quantile})


def _at(sample: Sample, values: tuple[str, ...], quantile: float) -> float:
    """The upper bound of the bucket that holds the quantile; of the last finite one beyond."""
    listed = sample.buckets[values]
    wanted = quantile * listed[-1][1]
    finite = [bound for bound, count in listed if count >= wanted and bound != float("inf")]
    return finite[0] if finite else listed[-2][0]
