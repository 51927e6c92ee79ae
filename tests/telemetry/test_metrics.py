"""Metrics: what they count, that they say nothing of a message, and that dashboard and alerts name what exists."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from guardrails import AuditLog, Denied, Deny, Guard, MaskPII, Message, RateLimit, RateLimited, canary, check, monitor
from guardrails.telemetry.families import FAMILIES
from guardrails.telemetry.meters import export
from guardrails.telemetry.metrics import Metrics
from guardrails.telemetry.prometheus import exposition

ROOT: Final = Path(__file__).parent.parent.parent
TO: Final = "+12125550173"


@check
def no_shouting(message: Message) -> Deny | None:
    return Deny("shouting") if message.text.isupper() else None


@check
def suspicious(_message: Message) -> Deny:
    return Deny("would refuse")


def provider(to: str, body: Any) -> str:
    if body == "fail":
        raise OSError(f"{to} cannot be reached")
    return "accepted"


@pytest.fixture
def used(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """Metrics of a guard that has sent, refused, failed, found and been tried."""
    metrics = Metrics().install()
    guard = Guard(
        AuditLog(tmp_path / "audit", durability="os"),
        RateLimit("3/minute", per="recipient"),
        MaskPII(names="off"),
        monitor(suspicious),
        no_shouting,
        channel="sms",
        owner=request.node.name,  # the guards of other tests may still be there
    )
    send = guard(provider)
    try:
        send(TO, "write to ann@example.com or bob@example.com")
        with pytest.raises(Denied, match="shouting"):
            send(TO, "LOUD")
        with pytest.raises(OSError, match="reached"):
            send(TO, "fail")
        send(TO, {"text": "hello", "count": 3})
        with pytest.raises(RateLimited):
            send(TO, "once too often")
        canary(guard)
        yield metrics, guard
    finally:
        metrics.uninstall()
        guard.close()


def value(text: str, name: str, **labels: str) -> float:
    for line in text.splitlines():
        if line.startswith(f"{name}{{") and all(f'{label}="{said}' in line for label, said in labels.items()):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"{name} {labels} is not in\n{text}")


def test_everything_that_the_issue_names_is_counted(used: Any) -> None:
    metrics, guard = used
    text = exposition(metrics)
    assert value(text, "guardrails_sends_total", channel="sms", result="sent") == 2
    assert value(text, "guardrails_sends_total", channel="sms", result="failed") == 1
    assert value(text, "guardrails_sends_total", channel="sms", result="refused") == 2
    assert value(text, "guardrails_refusals_total", control="no_shouting", reason="Denied") == 1
    assert (
        value(text, "guardrails_refusals_total", control="rate_limit", reason="RateLimited", limit="recipient/minute") == 1
    )
    assert value(text, "guardrails_findings_total", type="EMAIL_ADDRESS", channel="sms") == 2
    assert value(text, "guardrails_unscanned_total", type="int") == 1
    assert value(text, "guardrails_shadow_refusals_total", control="suspicious") >= 3
    assert value(text, "guardrails_control_seconds_count", control="mask_pii", layer="platform") >= 1
    assert value(text, "guardrails_control_up", guard=guard.owner, control="audit_log") == 1
    assert value(text, "guardrails_limit_remaining", control="rate_limit", limit="recipient/minute") >= 0
    assert value(text, "guardrails_limit_counters", guard=guard.owner, control="rate_limit") >= 1
    assert value(text, "guardrails_audit_queued", guard=guard.owner, control="audit_log") == 0
    assert value(text, "guardrails_audit_in_flight", guard=guard.owner, control="audit_log") == 0
    assert value(text, "guardrails_audit_lag_seconds", guard=guard.owner, control="audit_log") == 0
    assert value(text, "guardrails_canary_passed", guard=guard.owner) == 1
    assert value(text, "guardrails_canary_age_seconds", guard=guard.owner) < 60


def test_g3_no_metric_says_anything_of_a_message(used: Any) -> None:
    metrics, guard = used
    everything = exposition(metrics) + json.dumps(guard.health().as_dict()) + repr(list(metrics.samples()))
    for secret in (TO, "ann@", "bob@", "hello", "LOUD", "cannot be"):
        assert secret not in everything


def test_the_exposition_is_well_formed(used: Any) -> None:
    metrics, _guard = used
    line = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? [0-9.e+-]+')
    said = [one for one in exposition(metrics).splitlines() if not one.startswith("#")]
    assert [one for one in said if not line.fullmatch(one)] == []
    names = [one.split()[2] for one in exposition(metrics).splitlines() if one.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_labels_are_bounded() -> None:
    metrics = Metrics(most_series=3).install()
    try:
        for number in range(9):
            Guard(channel=f"channel {number}")(provider)(TO, "hello")
    finally:
        metrics.uninstall()
    text = exposition(metrics)
    assert value(text, "guardrails_sends_total", channel="other") == 6
    assert "guardrails_series_left_out_total 6" in text


def test_a_child_counts_for_itself() -> None:
    metrics = Metrics().install()
    send = Guard(channel="fork")(provider)
    send(TO, "hello")
    pid = os.fork()
    if not pid:
        send(TO, "hello")
        os._exit(0 if value(exposition(metrics), "guardrails_sends_total", channel="fork") == 1 else 1)
    _, status = os.waitpid(pid, 0)
    metrics.uninstall()
    assert os.waitstatus_to_exitcode(status) == 0


def test_opentelemetry_reads_the_same_metrics(used: Any) -> None:
    metrics, _guard = used
    reader = InMemoryMetricReader()
    export(metrics, MeterProvider([reader]))
    told: dict[str, list[Any]] = {}
    data = reader.get_metrics_data()
    assert data is not None
    for scope in data.resource_metrics[0].scope_metrics:
        for metric in scope.metrics:
            told[metric.name] = list(metric.data.data_points)
    assert {"guardrails.sends", "guardrails.refusals", "guardrails.findings", "guardrails.control.up"} <= told.keys()
    refused = {point.attributes.get("error.type"): point.value for point in told["guardrails.refusals"]}
    assert refused["RateLimited"] == 1
    quantiles = {point.attributes["guardrails.quantile"] for point in told["guardrails.control.duration"]}
    assert quantiles == {0.5, 0.95, 0.99}


# -- dashboard and alerts ---------------------------------------------------------------------------------------------


def _known() -> set[str]:
    more = [f"{one.name}_{end}" for one in FAMILIES if one.kind == "histogram" for end in ("bucket", "sum", "count")]
    return {*(one.name for one in FAMILIES), *more}


def _expressions() -> list[str]:
    dashboard = json.loads((ROOT / "examples/observability/dashboard.json").read_text())
    alerts = yaml.safe_load((ROOT / "examples/observability/alerts.yaml").read_text())
    return [
        *(target["expr"] for panel in dashboard["panels"] for target in panel["targets"]),
        *(rule["expr"] for group in alerts["groups"] for rule in group["rules"]),
    ]


def test_every_metric_in_the_dashboard_and_the_alerts_exists() -> None:
    named = {name for expression in _expressions() for name in re.findall(r"guardrails_[a-z_]+", expression)}
    assert named - _known() == set()


def test_every_label_in_the_dashboard_and_the_alerts_exists() -> None:
    labels = {label for family in FAMILIES for label in family.labels} | {"le"}
    used_labels: set[str] = set()
    for expression in _expressions():
        for listed in re.findall(r"by \(([^)]*)\)", expression):
            used_labels |= {one.strip() for one in listed.split(",")}
        used_labels |= set(re.findall(r"[{,]\s*(\w+)=", expression))
    assert used_labels - labels == set()


def test_the_dashboard_shows_every_metric_and_the_page_lists_it() -> None:
    shown = " ".join(_expressions())
    assert [one.name for one in FAMILIES if one.name not in shown] == []
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    rows = {
        found["name"]: (found["kind"], found["labels"], found["otel"])
        for found in re.finditer(
            r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \| (?P<labels>[^|]*) \| `(?P<otel>[\w.]+)` \|", page, re.MULTILINE
        )
    }
    assert rows == {
        one.name: (one.kind, ", ".join(f"`{label}`" for label in one.labels) or "none", one.otel) for one in FAMILIES
    }
