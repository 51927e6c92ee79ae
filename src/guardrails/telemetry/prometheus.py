"""
Metrics in the text format of Prometheus, without its client.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from guardrails.telemetry.families import Sample
from guardrails.telemetry.metrics import Metrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposition(metrics: Metrics) -> str:
    """All metrics of this process now."""
    return "".join(f"{line}\n" for sample in metrics.samples() for line in _lines(sample))


def _lines(sample: Sample) -> Iterator[str]:
    family = sample.family
    if not sample.values:
        return
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for values, value in sorted(sample.values.items()):
        if family.kind != "histogram":
            yield f"{family.name}{_labels(family.labels, values)} {_number(value)}"
            continue
        for bound, count in sample.buckets[values]:
            labels = _labels((*family.labels, "le"), (*values, "+Inf" if bound == float("inf") else _number(bound)))
            yield f"{family.name}_bucket{labels} {count}"
        yield f"{family.name}_sum{_labels(family.labels, values)} {_number(sample.sums[values])}"
        yield f"{family.name}_count{_labels(family.labels, values)} {_number(value)}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    said = ",".join(f'{name}="{_quoted(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{said}}}"


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
