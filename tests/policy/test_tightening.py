# ruff: noqa: ISC004 - one line of output is one string
"""G9: below the platform everything may only tighten, whoever says what in whichever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.policy.layers import differences, met
from guardrails.policy.model import Layer, Mask, Platform
from guardrails.policy.operator import OPERATORS, Operator
from guardrails.policy.order import (
    LOOSER,
    UNRELATED,
    Fewer,
    Lower,
    More,
    Operators,
    Order,
    PerEntity,
    Ranked,
    Rates,
    Relation,
)
from guardrails.policy.values import DEFAULT
from tests.policy.conftest import problems, version

OPERATOR = st.sampled_from(OPERATORS).map(Operator) | st.integers(1, 6).map(
    lambda keep: Operator("partial", (("keep_last", keep),))
)
ENTITIES = ("DEFAULT", "EMAIL_ADDRESS", "PHONE_NUMBER", "URL")
WORDS = st.lists(st.sampled_from("abcd"), unique=True)
ORDERS: list[tuple[Order, st.SearchStrategy[Any]]] = [
    (Lower(), st.integers(0, 5) | st.floats(0, 5)),
    (Ranked("monitor", "enforce"), st.sampled_from(("monitor", "enforce"))),
    (Ranked("keep", None, "mask"), st.sampled_from(("keep", None, "mask"))),
    (More(), WORDS),
    (Fewer(), WORDS),
    (Rates(), st.builds("{}/{}".format, st.integers(1, 9), st.sampled_from(("minute", "hour")))),
    (Operators(), OPERATOR),
    (PerEntity(Operators(), otherwise=Operator("replace")), st.dictionaries(st.sampled_from(ENTITIES), OPERATOR)),
    (PerEntity(Lower()), st.dictionaries(st.sampled_from(ENTITIES), st.floats(0, 1))),
]


@pytest.mark.parametrize(
    ("order", "values"), ORDERS, ids=[type(order).__name__ + str(n) for n, (order, _) in enumerate(ORDERS)]
)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_g9_what_holds_when_both_are_said_is_no_looser_than_either(order: Order, values: Any, data: st.DataObject) -> None:
    one, two = data.draw(values), data.draw(values)
    if isinstance(order, PerEntity):  # what a layer does not name, it says nothing about
        both = order.meet(one, two)
        for entity in (*ENTITIES, "OTHER"):
            said = two.get(entity, two.get(DEFAULT))
            standing = order.standing(one, entity)
            pairs = [(standing, both.get(entity)), (said, both.get(entity))] if entity in both else []
            assert all(
                order.compare_one({entity: low}, entity, high) is not LOOSER for low, high in pairs if low is not None
            )
    elif order.compare(one, two) is not UNRELATED or isinstance(order, More | Fewer):
        both = order.meet(one, two)
        assert order.compare(one, both) in (Relation.EQUAL, Relation.TIGHTER)
        assert order.compare(two, both) in (Relation.EQUAL, Relation.TIGHTER)
        assert order.compare(both, order.meet(two, one)) is Relation.EQUAL
    assert order.compare(one, one) is Relation.EQUAL


@pytest.mark.parametrize(
    ("order", "values"), ORDERS, ids=[type(order).__name__ + str(n) for n, (order, _) in enumerate(ORDERS)]
)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_g9_tighter_one_way_is_looser_the_other_way(order: Order, values: Any, data: st.DataObject) -> None:
    one, two = data.draw(values), data.draw(values)
    turned = {Relation.TIGHTER: LOOSER, LOOSER: Relation.TIGHTER}
    assert order.compare(two, one) is turned.get(order.compare(one, two), order.compare(one, two))


RATE = st.builds("{}/minute".format, st.integers(1, 9))


def limit(rate: str | None, mode: str | None) -> dict[str, str]:
    return {key: value for key, value in (("rate", rate), ("mode", mode), ("per", "recipient")) if value}


MODES = st.sampled_from((None, "monitor", "enforce"))
LIMITS = st.dictionaries(st.sampled_from(("person", "burst", "extra")), st.builds(limit, RATE, MODES), max_size=3)
OPERATOR_NAMES = st.sampled_from([name for name in OPERATORS if name not in ("synthetic", "pseudonym")])
MASK = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(("monitor", "enforce")),
        "operators": st.dictionaries(st.sampled_from(ENTITIES), OPERATOR_NAMES, max_size=3),
        "allow": WORDS,
        "thresholds": st.dictionaries(st.sampled_from(ENTITIES), st.sampled_from((0.1, 0.5, 0.9)), max_size=3),
        "more_entities": st.lists(st.sampled_from(("US_ITIN", "US_PASSPORT")), unique=True),
    },
)
LAYER = st.fixed_dictionaries({}, optional={"limits": LIMITS, "mask": MASK})


def freedom(layer: Layer) -> dict[str, Any]:
    """
    What a message may do, as numbers: every one of them must not grow. Written without the orders of the policy.

    A limit that does not act lets any number pass; an entity keeps as much as its operator leaves, where it is looked for.
    """
    free: dict[str, Any] = {}
    for name in ("person", "burst", "extra"):
        one = (layer.limits or {}).get(name)
        acts = one is not None and one.mode != "monitor"
        free[name] = int(str(one.rate).split("/")[0]) if acts and one is not None else 1_000
    mask = layer.mask
    masks = mask is not None and mask.mode != "monitor"
    for entity in ("EMAIL_ADDRESS", "PHONE_NUMBER", "URL", "US_ITIN", "US_PASSPORT"):
        if mask is None or not masks:
            free[entity], free[f"least {entity}"] = 99, 1.0
            continue
        looked_for = entity in ("EMAIL_ADDRESS", "PHONE_NUMBER", "URL") or entity in (mask.more_entities or ())
        said = mask.operators or {}
        operator = said.get(entity, said.get(DEFAULT, Operator("replace")))
        left = ("block", "redact", "replace", "synthetic", "hash", "encrypt", "pseudonym", "partial", "keep")
        free[entity] = left.index(operator.name) if looked_for else 50
        least = mask.thresholds or {}
        free[f"least {entity}"] = least.get(entity, least.get(DEFAULT, 0.35)) if looked_for else 1.0
    for word in "abcd":
        free[f"allow {word}"] = 1 if mask is None or not masks or word in (mask.allow or ()) else 0
    return free


def as_layer(kind: Any, given: dict[str, Any]) -> Any:
    return kind.model_validate(given)


@settings(max_examples=300, deadline=None)
@given(LAYER, st.lists(LAYER, min_size=1, max_size=4), st.randoms())
def test_g9_no_sequence_of_layers_gives_a_message_more_freedom_than_the_platform_alone(
    platform: dict[str, Any], layers: list[dict[str, Any]], random: Any
) -> None:
    base = as_layer(Layer, platform)
    allowed = [as_layer(Layer, one) for one in layers]
    allowed = [one for one in allowed if not any(d.relation in (LOOSER, UNRELATED) for d in differences(base, one))]
    random.shuffle(allowed)
    holds = base
    for one in allowed:
        holds = met(holds, one)
    before, after = freedom(base), freedom(holds)
    assert {name: (before[name], after[name]) for name in before if after[name] > before[name]} == {}


@settings(max_examples=200, deadline=None)
@given(LAYER, LAYER)
def test_g9_a_layer_with_more_freedom_than_the_platform_is_refused_or_changes_nothing(
    platform: dict[str, Any], layer: dict[str, Any]
) -> None:
    base, one = as_layer(Layer, platform), as_layer(Layer, layer)
    if base.mask is None or one.mask is None or one.mask.mode is not None:
        return
    alone = freedom(met(Layer(mask=Mask(mode=base.mask.mode)), one))
    looser = [
        entity
        for entity in (one.mask.operators or {})
        if entity != DEFAULT and alone[entity] > freedom(base)[entity] and base.mask.mode != "monitor"
    ]
    said = {difference.at[-1] for difference in differences(base, one) if difference.relation is LOOSER}
    assert set(looser) <= said


def test_g9_an_attempt_to_loosen_names_both_places() -> None:
    assert problems(
        """\
        version: 1
        platform:
          limits:
            person: {rate: 5/minute, per: recipient}
          mask:
            names: off
            operators: {DEFAULT: replace, EMAIL_ADDRESS: block}
            allow: [a, b]
        channels:
          sms: {limits: {burst: {rate: 10/second, per: tenant}}}
        tenants:
          acme:
            limits: {person: {rate: 9/minute}, burst: {rate: 5/minute, per: tenant}}
            mask:
              operators: {EMAIL_ADDRESS: partial, PHONE_NUMBER: keep}
              allow: [a, c]
              mode: monitor
              thresholds: {DEFAULT: 0.5}
              entities: [URL]
        teams:
          t: {suppression: {opaque_ids: true}, checks: {x: {use: "a:b", before_mask: true}}, limits: {burst: {rate: 1/second}}}
          u: {limits: {person: {rate: 2/hour}}}
        """
    ) == [
        "p.yaml:13:23: tenants.acme.limits.person.rate: 9/minute is looser, and the platform says 5/minute (p.yaml:4:14): "
        "fewer units in the same window are tighter; for another window add another limit",
        "p.yaml:13:48: tenants.acme.limits.burst.rate: 5/minute here and 10/second there (p.yaml:10:26) cannot hold together; "
        "give one of them another name",
        "p.yaml:15:19: tenants.acme.mask.operators.EMAIL_ADDRESS: partial is looser, and the platform says block (p.yaml:7:35): "
        f"by entity: {Operators.says}",
        "p.yaml:15:43: tenants.acme.mask.operators.PHONE_NUMBER: keep is looser, and the platform says replace (p.yaml:7:17, "
        f"which does not name it): by entity: {Operators.says}",
        "p.yaml:16:7: tenants.acme.mask.allow: [a, c] is neither tighter nor looser, and the platform says [a, b] (p.yaml:8:5): "
        "fewer are tighter",
        "p.yaml:17:7: tenants.acme.mask.mode: monitor is looser, and the platform says enforce (p.yaml:5:3, which does not name "
        'it): "monitor" < "enforce" (the last is tightest)',
        "p.yaml:18:20: tenants.acme.mask.thresholds.DEFAULT: 0.5 is neither tighter nor looser, and the platform says nothing "
        "(where nothing is said): by entity: a lower value is tighter",
        "p.yaml:19:7: tenants.acme.mask.entities: [URL] is neither tighter nor looser, and the platform says nothing "
        "(p.yaml:5:3, which does not name it): cannot be changed below the platform",
        "p.yaml:21:7: teams.t.suppression: the platform has none that a team could tighten",
        "p.yaml:21:65: teams.t.checks.x.before_mask: only the platform's checks may see raw text",
        "p.yaml:21:95: teams.t.limits.burst: another layer has this name (p.yaml:10:18)",
        "p.yaml:22:25: teams.u.limits.person.rate: 2/hour is neither tighter nor looser, and the platform says 5/minute "
        "(p.yaml:4:14): fewer units in the same window are tighter; for another window add another limit",
    ]


def test_what_channel_tenant_and_team_say_is_put_together_at_its_tightest() -> None:
    policy = version(
        """\
        version: 1
        platform:
          limits: {person: {rate: 9/minute, per: recipient}}
          mask: {names: off, allow: [a, b], operators: {EMAIL_ADDRESS: partial}}
        channels: {sms: {limits: {person: {rate: 4/minute}}, mask: {allow: [a]}}}
        tenants: {acme: {limits: {person: {rate: 6/minute}}, mask: {operators: {DEFAULT: redact}, more_entities: [US_ITIN]}}}
        teams: {growth: {limits: {person: {rate: 5/minute}, own: {rate: 1/second}}, mask: {allow: [b]}}}
        """
    )
    holds, own = policy.effective(channel="sms", tenant="acme", team="growth")
    assert holds.limits is not None
    assert holds.mask is not None
    assert own.limits is not None
    assert holds.limits["person"].rate == "4/minute"
    assert holds.mask.allow == []
    assert {key: str(one) for key, one in (holds.mask.operators or {}).items()} == {
        "DEFAULT": "redact",
        "EMAIL_ADDRESS": "redact",
    }
    assert holds.mask.more_entities == ["US_ITIN"]
    assert list(holds.limits) == ["person"]
    assert list(own.limits) == ["own"]
    plain, nothing = policy.effective(channel="email", tenant="other", team=None)
    assert plain.limits == policy.platform.limits
    assert nothing.limits is None


def test_every_setting_of_a_layer_says_what_is_tighter() -> None:
    from guardrails.policy.setting import order_of, settings_in  # noqa: PLC0415 - only here

    def settings_of(kind: Any, path: str) -> Any:
        for name, field in kind.model_fields.items():
            inside = settings_in(field.annotation)
            if inside is not None:
                yield from settings_of(inside, f"{path}.{name}")
            else:
                yield f"{path}.{name}", order_of(field)

    assert all(order.says for _, order in settings_of(Platform, "platform"))
