# ruff: noqa: ISC004 - one line of output is one string
"""G9 of rules for people, leases, refunds and records: no layer gives a message more freedom than the platform alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.policy.layers import differences, met
from guardrails.policy.model import Audit, Layer, Recording
from guardrails.policy.order import (
    LOOSER,
    UNRELATED,
    Caps,
    DeniedWords,
    MoreOrAll,
    Names,
    Order,
    QuietTimes,
    Relation,
    Windows,
)
from guardrails.policy.values import quiet_minutes
from tests.policy.conftest import problems, version

WORDS = st.lists(st.sampled_from("abc"), unique=True)
HOURS = st.sampled_from(
    ("21:00-08:00", "20:00-08:00", "21:00-09:00", "20:00-09:00", "22:00-07:00", "01:00-08:00", "12:00-14:00", "21:30-21:00")
)
ORDERS: list[tuple[Order, st.SearchStrategy[Any]]] = [
    (MoreOrAll(), WORDS),
    (QuietTimes(), HOURS),
    (Caps(), st.sampled_from(("1/day", "3/day", "5 per day", "2/week", "9/month"))),
    (Windows(), st.sampled_from(("24h", "1 day", "7 days", "30 minutes"))),
    (DeniedWords(), WORDS | st.dictionaries(st.sampled_from(("DENIED", "PROJECT")), WORDS)),
    (Names(), st.sampled_from(("off", "model", "spacy:one", "spacy:two"))),
]


@pytest.mark.parametrize(("order", "values"), ORDERS, ids=[type(order).__name__ for order, _ in ORDERS])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_g9_what_holds_when_both_are_said_is_no_looser_than_either(order: Order, values: Any, data: st.DataObject) -> None:
    one, two = data.draw(values), data.draw(values)
    turned = {Relation.TIGHTER: LOOSER, LOOSER: Relation.TIGHTER}
    assert order.compare(one, one) is Relation.EQUAL
    assert order.compare(two, one) is turned.get(order.compare(one, two), order.compare(one, two))
    if order.compare(one, two) is not UNRELATED or isinstance(order, MoreOrAll | DeniedWords):
        both = order.meet(one, two)
        assert order.compare(one, both) in (Relation.EQUAL, Relation.TIGHTER)
        assert order.compare(two, both) in (Relation.EQUAL, Relation.TIGHTER)
        assert order.compare(both, order.meet(two, one)) is Relation.EQUAL


@settings(max_examples=150, deadline=None)
@given(HOURS, HOURS, HOURS)
def test_g9_hours_that_hold_the_platforms_hold_them_together_too(base: str, one: str, two: str) -> None:
    order = QuietTimes()
    wider = (Relation.EQUAL, Relation.TIGHTER)
    if order.compare(base, one) not in wider or order.compare(base, two) not in wider:
        return
    both = order.meet(one, two)
    if both == "00:00-24:00":  # no time is left, which no control takes
        return
    begin, end = quiet_minutes(both or "")
    for hours in (one, two):
        begins, ends = quiet_minutes(hours)
        assert begin <= begins
        assert ends <= end


CLASSES = st.lists(st.sampled_from(("otp", "marketing", "news")), unique=True)
MODES = st.sampled_from(("monitor", "enforce"))
SHARED = {"mode": MODES, "classes": CLASSES, "exempt": CLASSES}


def rules(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rules of one section, by name."""
    one = st.fixed_dictionaries(required, optional=optional)
    return st.dictionaries(st.sampled_from(("a", "b")), one, max_size=2)


LAYER = st.fixed_dictionaries(
    {},
    optional={
        "quiet_hours": rules({"hours": HOURS}, days=st.lists(st.sampled_from(("mon", "sat")), unique=True), **SHARED),
        "person_caps": rules({"rate": st.sampled_from(("1/day", "3/day", "5/day"))}, opaque_ids=st.booleans(), **SHARED),
        "unique_recipients": rules(
            {"amount": st.integers(1, 5), "window": st.sampled_from(("1h", "24h", "7 days"))}, **SHARED
        ),
        "concurrency": rules({"amount": st.integers(1, 5)}, wait=st.sampled_from(("0s", "1s", "2s")), mode=MODES),
        "refund_on": st.lists(st.sampled_from(("ConnectionRefusedError", "FileNotFoundError")), unique=True),
        "audit": st.fixed_dictionaries(
            {},
            optional={
                "durability": st.sampled_from(("os", "fsync")),
                "deadline": st.sampled_from(("1s", "2s", "3s")),
                "sinks": st.dictionaries(
                    st.sampled_from(("x", "y")),
                    st.fixed_dictionaries({"folder": st.just("f")}, optional={"required": st.booleans()}),
                    max_size=2,
                ),
            },
        ),
    },
)


def freedom(layer: Layer) -> dict[str, float]:
    """What a message may do, as numbers none of which may grow. Written without the orders of the policy."""
    free: dict[str, float] = {}
    for name in "ab":
        hours = (layer.quiet_hours or {}).get(name)
        acts = hours is not None and hours.mode != "monitor"
        begin, end = quiet_minutes(hours.hours or "") if hours is not None else (0, 0)
        for day in ("mon", "sat", "sun"):
            held = hours is not None and (hours.days is None or day in hours.days)
            for minute in range(0, 2 * 24 * 60, 30):
                free[f"{name} {day} {minute}"] = 0 if acts and held and begin <= minute < end else 1
        cap = (layer.person_caps or {}).get(name)
        acts = cap is not None and cap.mode != "monitor"
        free[f"cap {name}"] = int((cap.rate or "").split("/")[0]) if acts and cap is not None else 99
        free[f"opaque {name}"] = 0 if acts and cap is not None and not cap.opaque_ids else 1
        people = (layer.unique_recipients or {}).get(name)
        acts = people is not None and people.mode != "monitor"
        length = {"1h": 1, "24h": 24, "7 days": 168}[people.window or ""] if acts and people is not None else 0
        free[f"people {name}"], free[f"window {name}"] = (people.amount or 0 if acts and people else 99), -length
        running = (layer.concurrency or {}).get(name)
        acts = running is not None and running.mode != "monitor"
        free[f"running {name}"] = running.amount or 0 if acts and running is not None else 99
        free[f"wait {name}"] = running.wait or 0 if acts and running is not None else 99
        for kind, rule in (("hours", hours), ("cap", cap), ("people", people)):
            for one in ("otp", "marketing", "news", "another"):
                acts = rule is not None and rule.mode != "monitor"
                passes = rule is not None and (one in (rule.exempt or ()) or (rule.classes and one not in rule.classes))
                free[f"{kind} {name} {one}"] = 1 if not acts or passes else 0
    for error in ("ConnectionRefusedError", "FileNotFoundError"):
        free[f"refund {error}"] = 1 if error in (layer.refund_on or ()) else 0
    audit = layer.audit or Recording()
    free["durability"] = 2 if layer.audit is None else 1 if audit.durability == "os" else 0
    free["deadline"] = 99 if layer.audit is None else 2.0 if audit.deadline is None else audit.deadline
    for name in "xy":
        sink = (audit.sinks or {}).get(name)
        free[f"sink {name}"] = 2 if sink is None else 1 if sink.required is False else 0
    return free


@settings(max_examples=150, deadline=None)
@given(LAYER, st.lists(LAYER, min_size=1, max_size=4), st.randoms())
def test_g9_no_sequence_of_layers_gives_people_less_peace_than_the_platform_alone(
    platform: dict[str, Any], layers: list[dict[str, Any]], random: Any
) -> None:
    base = Layer.model_validate(platform)
    allowed = [Layer.model_validate(one) for one in layers]
    allowed = [one for one in allowed if not any(d.relation in (LOOSER, UNRELATED) for d in differences(base, one))]
    random.shuffle(allowed)
    holds = base
    for one in allowed:
        holds = met(holds, one)
    if any(one.hours == "00:00-24:00" for one in (holds.quiet_hours or {}).values()):  # refused where it is made
        return
    before, after = freedom(base), freedom(holds)
    assert {name: (before[name], after[name]) for name in before if after[name] > before[name]} == {}


def test_g9_an_attempt_to_disturb_people_more_names_both_places() -> None:
    assert problems(
        """\
        version: 1
        platform:
          defaults: {mode: enforce, zone: Europe/Berlin}
          audit: {folder: audit, sinks: {archive: {folder: archive}}}
          quiet_hours: {night: {hours: "21:00-08:00", exempt: [otp]}}
          person_caps: {daily: {rate: 3/day, classes: [marketing]}}
          unique_recipients: {reach: {amount: 250, window: 24h}}
          limits: {a: {rate: 1/second}}
          concurrency: {running: {amount: 5, per: tenant}}
          mask: {names: off, deny: [Falcon]}
        tenants:
          acme:
            audit: {durability: os, sinks: {archive: {required: false}}}
            quiet_hours: {night: {hours: "22:00-08:00", exempt: [otp, news], zone: Europe/Paris}}
            person_caps: {daily: {rate: 3/week, classes: [news]}}
            unique_recipients: {reach: {amount: 251, window: 12h}}
            refund_on: [ConnectionRefusedError]
            concurrency: {running: {amount: 6, lease: 10s}}
            mask: {deny: [Eagle]}
        """
    ) == [
        "p.yaml:13:13: tenants.acme.audit.durability: os is looser, and the platform says fsync (p.yaml:4:3, which does not "
        'name it): "os" < "fsync" (the last is tightest)',
        "p.yaml:13:47: tenants.acme.audit.sinks.archive.required: false is looser, and the platform says true (p.yaml:4:34, "
        "which does not name it): false < true (the last is tightest)",
        "p.yaml:14:27: tenants.acme.quiet_hours.night.hours: 22:00-08:00 is looser, and the platform says 21:00-08:00 "
        "(p.yaml:5:25): hours that hold the platform's are tighter",
        "p.yaml:14:49: tenants.acme.quiet_hours.night.exempt: [otp, news] is looser, and the platform says [otp] (p.yaml:5:47): "
        "fewer are tighter",
        "p.yaml:14:70: tenants.acme.quiet_hours.night.zone: Europe/Paris is neither tighter nor looser, and the platform says "
        "Europe/Berlin (p.yaml:3:29): cannot be changed below the platform",
        "p.yaml:15:27: tenants.acme.person_caps.daily.rate: 3/week is neither tighter nor looser, and the platform says 3/day "
        "(p.yaml:6:25): fewer in the same period are tighter; for another period add another cap",
        "p.yaml:15:41: tenants.acme.person_caps.daily.classes: [news] is neither tighter nor looser, and the platform says "
        "[marketing] (p.yaml:6:38): more are tighter, and none at all is tightest",
        "p.yaml:16:33: tenants.acme.unique_recipients.reach.amount: 251 is looser, and the platform says 250 (p.yaml:7:31): "
        "a lower value is tighter",
        "p.yaml:16:46: tenants.acme.unique_recipients.reach.window: 12h is looser, and the platform says 24h (p.yaml:7:44): "
        "a longer window is tighter",
        "p.yaml:17:5: tenants.acme.refund_on: [ConnectionRefusedError] is looser, and the platform says [] (p.yaml:2:1, which "
        "does not name it): fewer are tighter",
        "p.yaml:18:29: tenants.acme.concurrency.running.amount: 6 is looser, and the platform says 5 (p.yaml:9:27): a lower "
        "value is tighter",
        "p.yaml:18:40: tenants.acme.concurrency.running.lease: 10s is neither tighter nor looser, and the platform says 1m "
        "(p.yaml:9:17, which does not name it): cannot be changed below the platform",
        "p.yaml:19:12: tenants.acme.mask.deny: [Eagle] is neither tighter nor looser, and the platform says [Falcon] "
        "(p.yaml:10:22): more are tighter",
    ]


def test_what_a_layer_adds_or_tightens_of_the_audit_log_is_put_together() -> None:
    policy = version(
        """\
        version: 1
        platform: {audit: {folder: audit, durability: os, deadline: 3s}}
        channels: {sms: {audit: {durability: fsync, sinks: {sms: {folder: sms}}}}}
        tenants: {acme: {audit: {deadline: 1s, sinks: {acme: {sqlite: acme.db}}}}}
        """
    )
    holds, _ = policy.effective(channel="sms", tenant="acme", team=None)
    assert isinstance(holds.audit, Audit)
    assert (holds.audit.folder, holds.audit.durability, holds.audit.deadline) == ("audit", "fsync", 1.0)
    assert list(holds.audit.sinks or ()) == ["sms", "acme"]
