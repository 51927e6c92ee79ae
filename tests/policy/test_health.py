"""Whoever watches a process sees that a change of its policy was not taken: in its health and in its metrics."""

from __future__ import annotations

import pytest

from guardrails import from_policy
from guardrails.errors import ConfigError
from guardrails.telemetry import prometheus
from guardrails.telemetry.metrics import Metrics
from guardrails.testing import RecordingSend
from tests.policy.conftest import Write

GOOD = "version: 1\nplatform: {limits: {person: {rate: 5/minute, per: recipient}}}\n"
BAD = GOOD.replace("5/minute", "5/min")
BETTER = GOOD.replace("5/minute", "4/minute")


def test_a_refused_change_shows_in_health_and_metrics_until_the_file_is_good_again(write: Write) -> None:
    guard = from_policy(write(GOOD), channel="sms")
    team = guard.extend()
    guard.wrap(RecordingSend())("+12125550173", "hello")

    def shown() -> tuple[bool, object, object, set[str]]:
        health = team.health()
        lines = prometheus.exposition(Metrics()).splitlines()
        told = {line.rpartition("result=")[2] for line in lines if line.startswith("guardrails_policy_changes_total{")}
        [current] = {line[-1] for line in lines if line.startswith("guardrails_policy_current{") and "test_health" in line}
        assert health.policy["problem"] is None or "was not taken: PolicyError (1)" in str(health.policy["problem"])
        assert health.well is (current == "1")
        return health.well, health.policy["changed"], health.policy["refused"], told

    well, changed, refused, _ = shown()
    assert (well, changed, refused) == (True, 0, 0)
    for number in (1, 2):
        write(BAD)
        with pytest.raises(ConfigError):
            guard.reload()
        well, changed, refused, told = shown()
        assert (well, changed, refused) == (False, 0, number)
        assert {f'"changed"}} {0}', f'"refused"}} {number}'} <= told
    write(GOOD)
    assert not guard.reload()
    assert shown()[:3] == (True, 0, 2)
    write(BETTER)
    assert guard.reload()
    assert shown()[:3] == (True, 1, 2)
    assert guard.health().policy["digest"] == guard.policy
    guard.close()
