"""Operators of a direction in a policy: equal to the same mask in Python, tightened by itself, shown with its lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, MaskPII, from_policy
from guardrails.pii.operators import DEFAULT
from guardrails.policy.compare import changes
from guardrails.policy.directions import DIRECTIONS, Tightness
from guardrails.policy.explain import explained
from guardrails.policy.operator import OPERATORS
from guardrails.policy.problems import PolicyError
from guardrails.policy.reading import spelled
from tests.policy.conftest import Write, problems, version

TEXT = "Call +1 212 555 0173 or write to ann@example.com, see http://shop.example.com"
POLICY = """\
version: 1
platform:
  mask:
    names: off
    operators: {DEFAULT: redact, EMAIL_ADDRESS: partial}
    inbound: {PHONE_NUMBER: keep}
    outbound: {DEFAULT: replace}
tenants:
  acme: {mask: {inbound: {PHONE_NUMBER: partial}}}
  clinic: {mask: {operators: {EMAIL_ADDRESS: redact}}}
examples:
  - {in: "+1 212 555 0173 ann@example.com", direction: inbound, out: "+1 212 555 0173 ***@example.com"}
  - {in: "+1 212 555 0173 ann@example.com", out: "<PHONE_NUMBER> <EMAIL_ADDRESS>"}
  - {in: "+1 212 555 0173 ann@example.com", direction: inbound, tenant: acme, out: "***0173 ***@example.com"}
  - {in: "ann@example.com", direction: inbound, tenant: clinic, out: ""}
  - {in: "ann@example.com", tenant: clinic, out: ""}
"""


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_policy_masks_a_direction_as_the_same_mask_in_python(write: Write, direction: str) -> None:
    own = MaskPII(
        names="off",
        operators={
            "DEFAULT": "redact",
            "EMAIL_ADDRESS": "partial",
            "inbound": {"PHONE_NUMBER": "keep"},
            "outbound": {"DEFAULT": "replace"},
        },
    )
    policy = from_policy(write(POLICY), direction=direction)
    assert policy.preview(TEXT).text == Guard(own, direction=direction).preview(TEXT).text


def test_g9_a_direction_is_loosened_by_nobody() -> None:
    assert problems(
        POLICY.replace("names: off", 'names: "off"').split("tenants:", maxsplit=1)[0]
        + """\
tenants:
  a: {mask: {inbound: {EMAIL_ADDRESS: keep, PHONE_NUMBER: replace}}}
  b: {mask: {outbound: {EMAIL_ADDRESS: partial}}}
  c: {mask: {inbound: {NOBODYS: redact}}}
"""
    ) == [
        (
            "p.yaml:9:24: tenants.a.mask.inbound.EMAIL_ADDRESS: keep is looser, and the platform says partial (p.yaml:5:34): "
            f"by entity: {' < '.join(OPERATORS)} (the last is tightest); a smaller keep_last is tighter"
        ),
        (
            "p.yaml:10:25: tenants.b.mask.outbound.EMAIL_ADDRESS: partial is looser, and the platform says replace "
            "(p.yaml:7:16, which does not name it): "
            f"by entity: {' < '.join(OPERATORS)} (the last is tightest); a smaller keep_last is tighter"
        ),
        "p.yaml:11:24: tenants.c.mask.inbound.NOBODYS: is not looked for",
    ]


def test_a_direction_is_explained_with_the_line_that_says_it() -> None:
    parts = explained(version(POLICY), tenant="clinic")
    told = {line.setting: (line.value, line.said) for part in parts for line in part.lines}
    assert told["inbound.PHONE_NUMBER"] == ("keep", "p.yaml:6:15")
    assert told["inbound.EMAIL_ADDRESS"] == ("redact", "p.yaml:10:31 (tenants.clinic)")
    assert told["outbound.DEFAULT"] == ("replace", "p.yaml:7:16")


def test_a_direction_that_is_said_anew_is_told_by_what_changes() -> None:
    plain = POLICY.split("tenants:", maxsplit=1)[0].replace("    outbound: {DEFAULT: replace}\n", "")
    before, after = version(plain.replace("    inbound: {PHONE_NUMBER: keep}\n", "")), version(plain)
    assert [(spelled(one.at), one.relation.value) for one in changes(before, after)] == [
        ("platform.mask.inbound.PHONE_NUMBER", "looser")
    ]


ENTITIES = ("EMAIL_ADDRESS", "PHONE_NUMBER", DEFAULT)
OPERATOR = st.sampled_from([one for one in OPERATORS if one not in ("pseudonym", "synthetic", "hash", "encrypt")])
SAID = st.dictionaries(st.sampled_from(ENTITIES), OPERATOR, max_size=2)
MASK = st.fixed_dictionaries({}, optional=dict.fromkeys(("operators", *DIRECTIONS), SAID))


def left(mask: dict[str, dict[str, str]], direction: str, entity: str) -> int:
    """How much an operator leaves, by what the reference says: the direction first, and its DEFAULT, then for both."""
    own, both = mask.get(direction, {}), mask.get("operators", {})
    said = own.get(entity) or own.get(DEFAULT) or both.get(entity) or both.get(DEFAULT) or "replace"
    return -OPERATORS.index(said)


@settings(max_examples=150, deadline=None)
@given(MASK, st.lists(MASK, min_size=1, max_size=3))
def test_g9_no_layers_leave_more_in_any_direction_than_the_platform_alone(
    platform: dict[str, dict[str, str]], layers: list[dict[str, dict[str, str]]]
) -> None:
    sections = dict(zip(("channels", "tenants", "teams"), layers, strict=False))
    text = {"version": 1, "platform": {"mask": {"names": "off", **platform}}}
    text |= {section: {"one": {"mask": mask}} for section, mask in sections.items()}
    try:
        policy = version(json.dumps(text))
    except PolicyError:
        return
    holds, _ = policy.effective(channel="one", tenant="one", team="one" if "teams" in sections else None)
    assert holds.mask is not None
    said = {
        name: {entity: one.name for entity, one in (getattr(holds.mask, name) or {}).items()}
        for name in ("operators", *DIRECTIONS)
    }
    for direction in DIRECTIONS:
        for entity in ENTITIES:
            assert left(said, direction, entity) <= left(platform, direction, entity)


def test_tighter_in_one_direction_and_looser_in_the_other_is_neither() -> None:
    one, two = Tightness((1, 0), (2, 0)), Tightness((2, 0), (1, 0))
    assert not one > two
    assert not two > one
    assert not one <= two
    assert Tightness((2, 0), (2, 0)) > one
