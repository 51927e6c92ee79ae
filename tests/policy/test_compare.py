"""`guardrails policy diff`: what it calls tighter gives no message more freedom."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings

from guardrails.policy.compare import changes
from guardrails.policy.order import EQUAL, LOOSER, TIGHTER, UNRELATED, Relation
from guardrails.policy.problems import PolicyError
from guardrails.policy.version import Version
from tests.policy.conftest import version
from tests.policy.test_tightening import LAYER, freedom

BASE = """
  limits: {a: {rate: 5/minute, per: recipient}}
  mask: {names: off}
  switches: {file: s.jsonl, operators: {ann: "wV0x7eDcyJkpQvCUZCVM1yLxMVJFe7mnXhBf9dIEgbs="}}
"""
CHECKS = '  checks: {x: {use: "tests.policy.sample:no_words"}, y: {use: "tests.policy.sample:plain_sign"}}\n'
TURNED_CHECKS = '  checks: {y: {use: "tests.policy.sample:plain_sign"}, x: {use: "tests.policy.sample:no_words"}}\n'


def of(more: str = "") -> Version:
    return version(f"version: 1\nplatform:{BASE}{more}")


def told(before: str, after: str) -> dict[str, Relation]:
    return {".".join(map(str, one.at[1:])): one.relation for one in changes(of(before), of(after))}


@pytest.mark.parametrize(
    ("before", "after", "there", "back"),
    [
        ("", "  bypassable: {rate_limit: {longest: 15m}}\n", {"bypassable.rate_limit": LOOSER}, TIGHTER),
        ("", "  caps: {parts: 100000}\n", {"caps.parts": UNRELATED}, UNRELATED),
        ("", "  caps: {parts: 1000}\n", {}, EQUAL),
        ("", "  defaults: {channel: sms}\n", {"defaults.channel": UNRELATED}, UNRELATED),
        ("", "  stores: {limits: {url: 'redis://127.0.0.1:1'}}\n", {"stores.limits": UNRELATED}, UNRELATED),
        ("", "  keys: {master: ['${K}']}\n", {"keys": UNRELATED}, UNRELATED),
        ("", "  audit: {folder: audit}\n", {"audit": TIGHTER}, LOOSER),
        ("", "  suppression: {region: US}\n", {"suppression": TIGHTER}, LOOSER),
        (CHECKS, TURNED_CHECKS, {"checks": UNRELATED}, UNRELATED),
        (
            "  audit: {folder: audit}\n",
            "  audit: {folder: audit, bounds: {in_flight: 5}}\n",
            {"audit.bounds.in_flight": UNRELATED},
            UNRELATED,
        ),
    ],
)
def test_what_is_added_is_called_what_it_is(
    before: str, after: str, there: dict[str, Relation], back: Relation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "11" * 32)

    assert told(before, after) == there
    assert told(after, before) == dict.fromkeys(there, back)


def test_defaults_that_only_watch_are_looser_everywhere() -> None:
    assert set(told("", "  defaults: {mode: monitor}\n").values()) == {LOOSER}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(before=LAYER, after=LAYER)
def test_g9_a_policy_that_is_only_tighter_gives_no_message_more_freedom(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    for one in (before, after):
        if "mask" in one:
            one["mask"] = {**one["mask"], "names": "off"}
    try:
        old, new = (version(f"version: 1\nplatform: {json.dumps(one)}\n") for one in (before, after))
    except PolicyError:
        reject()
    relations = {one.relation for one in changes(old, new)}
    if relations <= {TIGHTER}:
        less, more = freedom(new.platform), freedom(old.platform)
        assert {name: value for name, value in less.items() if value > more[name]} == {}
    if not relations:
        assert freedom(new.platform) == freedom(old.platform)
