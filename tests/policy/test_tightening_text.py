"""G9 in texts: what a layer looks for besides hides nothing that the platform, alone, would have masked or refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Denied, MaskPII
from guardrails.core.guard import Guard
from guardrails.core.preview import Decision
from guardrails.pii.lists import MOST_WORDS
from guardrails.policy.problems import PolicyError
from guardrails.policy.stacks import all_made
from tests.policy.conftest import problems, version


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    MaskPII(names="off")  # what is read once in a process takes longest


CARD, EMAIL, PHONE = "4111 1111 1111 1111", "ann@example.com", "+1 212 555 0173"


def decided(platform: dict[str, object], layer: dict[str, object]) -> Callable[[str], tuple[Decision, Decision]]:
    """What becomes of a text under the platform's mask alone, and with a team's."""
    text = {"version": 1, "platform": {"mask": {"names": "off", **platform}}, "teams": {"t": {"mask": layer}}}
    stacks = all_made(version(json.dumps(text)))

    def both(message: str) -> tuple[Decision, Decision]:
        return tuple(  # type: ignore[return-value]  # two of them
            Guard(*(slot.control for slot in stacks.of(channel=None, tenant=None, team=team).slots)).preview(message)
            for team in (None, "t")
        )

    return both


@pytest.mark.parametrize(
    ("platform", "layer", "text"),
    [
        ({"CREDIT_CARD": "block"}, {"deny": {"WORD": [f"card {CARD} now"]}}, f"card {CARD} now"),
        ({"CREDIT_CARD": "block"}, {"deny": {"EMAIL_ADDRESS": [f"card {CARD} now"]}}, f"card {CARD} now"),
        (
            {"PHONE_NUMBER": "block", "DEFAULT": "keep"},
            {"more_entities": ["URL"]},
            "see http://example.com/?tel=+12125550173",
        ),
        ({"PHONE_NUMBER": "block"}, {"thresholds": {"URL": 0.0}}, "see http://example.com/?tel=+12125550173"),
    ],
)
def test_g9_what_the_platform_refuses_stays_refused_whatever_a_team_looks_for_besides(
    platform: dict[str, str], layer: dict[str, object], text: str
) -> None:
    settings: dict[str, object] = {"operators": platform}
    if "thresholds" in layer:
        settings["thresholds"] = {"URL": 1.0}
    if "more_entities" in layer:
        settings["entities"] = ["PHONE_NUMBER"]
    alone, with_team = decided(settings, layer)(text)
    assert isinstance(alone.refusal, Denied)
    assert isinstance(with_team.refusal, Denied)


def test_g9_a_word_that_a_team_lists_does_not_let_an_address_through() -> None:
    platform: dict[str, object] = {"operators": {"EMAIL_ADDRESS": "replace", "DEFAULT": "keep"}}
    alone, with_team = decided(platform, {"deny": [f"write {EMAIL} now"]})(f"please write {EMAIL} now")
    assert alone.text == "please write <EMAIL_ADDRESS> now"
    assert with_team.text == "please write <EMAIL_ADDRESS> now"
    assert [found.type for found in with_team.findings["text"]] == ["DENIED", "EMAIL_ADDRESS", "DENIED"]


def test_a_tighter_operator_of_a_team_acts_where_the_platforms_finding_lies_in_its_own() -> None:
    platform: dict[str, object] = {"operators": {"EMAIL_ADDRESS": "partial"}}
    alone, with_team = decided(platform, {"deny": {"WORD": [f"write {EMAIL} now"]}})(f"please write {EMAIL} now")
    assert alone.text == "please write ***@example.com now"
    assert with_team.text == "please <WORD>"


PIECES = (CARD, EMAIL, PHONE, "please", "call", "now", "card", "and")
OPERATOR = st.sampled_from(("keep", "partial", "replace", "redact", "block"))
ENTITIES = ("CREDIT_CARD", "EMAIL_ADDRESS", "PHONE_NUMBER", "URL", "DEFAULT")


def shown(value: str, text: str) -> int:
    """How many characters of the end or the beginning of *value* are to be seen in *text*."""
    return max(n for n in range(len(value) + 1) if n == 0 or value[-n:] in text or (n > 4 and value[:n] in text))


@settings(max_examples=12, deadline=None)
@given(
    operators=st.dictionaries(st.sampled_from(ENTITIES), OPERATOR, max_size=4),
    words=st.lists(st.sampled_from(PIECES), min_size=2, max_size=6),
    data=st.data(),
)
def test_g9_no_team_lets_more_of_a_value_be_seen_than_the_platform_alone(
    operators: dict[str, str], words: list[str], data: st.DataObject
) -> None:
    listed = st.integers(0, len(words) - 1).flatmap(
        lambda first: st.integers(first + 1, len(words)).map(lambda last: " ".join(words[first:last]))
    )
    deny = data.draw(st.dictionaries(st.sampled_from(("WORD", *ENTITIES[:4])), st.lists(listed, min_size=1), min_size=1))
    own = data.draw(st.dictionaries(st.sampled_from(("WORD", *ENTITIES)), OPERATOR, max_size=2))
    try:
        both = decided({"operators": operators}, {"deny": deny, "operators": own})
    except PolicyError:
        return
    for text in (" ".join(words), " ".join(reversed(words)), " ".join(sorted(words))):
        alone, with_team = both(text)
        if alone.refusal is not None:
            assert with_team.refusal is not None
        elif with_team.refusal is None:
            for value in (CARD, EMAIL, PHONE):
                if value in text:
                    assert shown(value, with_team.text or "") <= shown(value, alone.text or "")


def test_g9_less_time_is_refused_where_it_means_that_less_is_looked_at() -> None:
    assert problems(
        """\
        version: 1
        platform: {mask: {names: off, budget: 200ms, over_budget: patterns}}
        tenants:
          a: {mask: {budget: 1ms}}
          b: {mask: {budget: 1ms, over_budget: deny}}
          c: {mask: {budget: 200ms}}
        """
    ) == [
        (
            "p.yaml:4:14: tenants.a.mask.budget: less time has more messages looked at with patterns only (p.yaml:2:46); "
            "say over_budget: deny, too"
        ),
    ]


def test_g11_a_policy_says_where_a_list_is_too_long() -> None:
    ours = ", ".join(f"w{one}x" for one in range(MOST_WORDS))
    told = problems(
        f"""\
        version: 1
        platform: {{mask: {{names: off, deny: [{ours}]}}}}
        tenants:
          acme:
            mask: {{deny: [one, {ours}]}}
        """
    )
    [line] = told
    assert line.startswith("p.yaml:5:12: tenants.acme.mask.deny")
    assert f"at most {MOST_WORDS:,} words" in line
