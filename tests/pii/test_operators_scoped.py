"""Operators per channel and direction; stand-ins that belong to nobody; the time that a message may take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, MaskPII
from guardrails.core.exposure import exposures
from guardrails.errors import Blocked, ConfigError, Unavailable
from guardrails.keys import Keys
from guardrails.pii import Synthetic, Vault
from guardrails.pii.budget import Budget
from guardrails.pii.operators_scoped import ScopedOperators
from guardrails.pii.spans import Span
from guardrails.testing import RecordingSend

KEYS = Keys(b"s" * 32)
TO, PHONE, EMAIL = "+12125550199", "+1 212 555 0173", "ann@example.com"
OPERATORS: dict[str, Any] = {
    "EMAIL_ADDRESS": "partial",
    "sms": {"PHONE_NUMBER": "partial", "inbound": {"PHONE_NUMBER": "keep"}},
    "inbound": {"DEFAULT": "redact", "voice": {"EMAIL_ADDRESS": "block"}},
    "email": {"DEFAULT": "redact"},
}


def sent(channel: str, direction: str, text: str, **more: Any) -> str:
    send = RecordingSend()
    mask = MaskPII(names="off", operators=OPERATORS, **more)
    Guard(mask, channel=channel, direction=direction)(send)(TO, text)
    return send.calls[0].body


@pytest.mark.parametrize("vault", [None, Vault()], ids=["no vault", "vault"])
@pytest.mark.parametrize(
    ("channel", "direction", "expected"),
    [
        ("chat", "outbound", "***@example.com <PHONE_NUMBER>"),
        ("sms", "outbound", "***@example.com ***0173"),
        ("sms", "inbound", f" {PHONE}"),
        ("chat", "inbound", " "),
        ("email", "outbound", " "),
    ],
)
def test_a_channels_operators_go_before_those_for_all(
    vault: Vault | None, channel: str, direction: str, expected: str
) -> None:
    assert sent(channel, direction, f"{EMAIL} {PHONE}", vault=vault) == expected


def test_g2_an_entity_that_is_blocked_on_one_channel_is_refused_there_only() -> None:
    with pytest.raises(Blocked):
        sent("voice", "inbound", EMAIL)
    assert sent("voice", "outbound", EMAIL) == "***@example.com"


def test_replies_streams_and_what_changes_later_are_masked_by_the_channels_operators() -> None:
    mask = MaskPII(names="off", operators={"llm": {"PHONE_NUMBER": "partial"}})
    guard = Guard(mask, channel="llm")

    def ask(prompt: str) -> str:
        return f"{prompt} and {PHONE}"

    assert guard.wrap(ask)("hi") == "hi and ***0173"
    assert "".join(guard.wrap(lambda prompt: iter([prompt, " +1 212 ", "555 0173"]))("hi")) == "hi ***0173"


@pytest.mark.parametrize(
    "operators",
    [
        {"sms": {"FAX": "keep"}},
        {"sms": {"PHONE_NUMBER": "kep"}},
        {"sms": {"rcs": {"PHONE_NUMBER": "keep"}}},
        {"inbound": {"outbound": {}}},
        {"PHONE_NUMBER": {"DEFAULT": "keep"}},
        {"": {"DEFAULT": "keep"}},
    ],
)
def test_scopes_that_make_no_sense_are_refused(operators: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        MaskPII(names="off", operators=operators)


def test_a_pseudonym_on_one_channel_needs_a_vault_too() -> None:
    with pytest.raises(ConfigError, match="vault="):
        MaskPII(names="off", operators={"llm": {"DEFAULT": "pseudonym"}})


def test_where_nothing_is_said_for_a_channel_nothing_is_made_anew() -> None:
    scoped = ScopedOperators({"sms": {"DEFAULT": "redact"}}, {"URL"})
    assert scoped.of("chat", "outbound") is scoped.general
    assert scoped.of("sms", "outbound") is scoped.of("sms", "outbound")


# -- synthetic ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "value"),
    [
        ("EMAIL_ADDRESS", EMAIL),
        ("PHONE_NUMBER", PHONE),
        ("CREDIT_CARD", "4000056655665556"),
        ("IBAN_CODE", "GB82 WEST 1234 5698 7654 32"),
        ("IP_ADDRESS", "192.0.2.17"),
        ("MAC_ADDRESS", "00:00:5E:00:53:01"),
        ("URL", "https://example.com/a"),
    ],
)
@given(seed=st.binary(min_size=32, max_size=32))
@settings(max_examples=15, deadline=None)
def test_a_stand_in_is_of_the_same_kind_and_the_same_every_time(entity: str, value: str, seed: bytes) -> None:
    operator = Synthetic(Keys(seed), tenant="acme")
    made = operator.apply(entity, value)
    assert made == operator.apply(entity, value)
    found = MaskPII(names="off", thresholds=0.01).find(f"It is {made} .")
    assert entity in [one.type for one in found]


def test_two_spellings_of_an_address_have_one_stand_in_and_tenants_have_their_own() -> None:
    operator = Synthetic(KEYS)
    assert operator.apply("PHONE_NUMBER", PHONE) == operator.apply("PHONE_NUMBER", "+1 (212) 555-0173")
    others = {operator.apply("EMAIL_ADDRESS", f"ann{number}@example.com") for number in range(200)}
    assert len(others) == 200
    assert operator.apply("EMAIL_ADDRESS", EMAIL) != Synthetic(KEYS, tenant="acme").apply("EMAIL_ADDRESS", EMAIL)
    assert operator.apply("MEDICAL_RECORD_NUMBER", "1234567") == "<MEDICAL_RECORD_NUMBER>"
    assert operator.apply("IP_ADDRESS", "2001:db8::1").startswith("2001:db8::")
    with pytest.raises(ConfigError):
        Synthetic(b"x")  # type: ignore[arg-type]  # wrong on purpose


def test_a_stand_in_passes_the_doors_own_detector() -> None:
    send = RecordingSend()
    mask = MaskPII(names="off", operators={"DEFAULT": Synthetic(KEYS)})
    Guard(mask, channel="sms")(send)(TO, f"Write to {EMAIL}, pay with 4000056655665556")
    assert {one.type for one in exposures(send.calls[0].body)} == {"EMAIL_ADDRESS", "CREDIT_CARD"}
    assert EMAIL not in send.calls[0].body


# -- budget -------------------------------------------------------------------------------------------------------------------


def look(text: str, /) -> list[Span]:
    return [Span(0, len(text), "PERSON", 1.0)]


def patterns(text: str, /) -> list[Span]:
    return [Span(0, 1, "URL", 1.0)]


def test_g10_over_its_budget_a_message_is_refused_or_looked_at_with_patterns() -> None:
    now = 0.0
    strict, lenient = (Budget(50, over, lambda: now) for over in ("deny", "patterns"))
    assert strict.bounded(look, patterns)("x") == lenient.bounded(look, patterns)("x") == look("x")
    now = 0.06
    with pytest.raises(Unavailable, match="budget of 50 ms"):
        strict.bounded(look, patterns)("x")
    assert lenient.bounded(look, patterns)("x") == patterns("x")
    assert lenient.exceeded
    lenient.close()
    assert lenient.bounded(look, patterns)("x") == look("x")


@pytest.mark.parametrize("vault", [None, Vault()], ids=["no vault", "vault"])
def test_g10_a_message_over_budget_is_not_sent(vault: Vault | None) -> None:
    send = RecordingSend()
    with pytest.raises(Unavailable) as raised:
        Guard(MaskPII(names="off", budget_ms=1e-6, vault=vault), channel="sms")(send)(TO, EMAIL)
    assert (send.calls, raised.value.control, raised.value.sent) == ([], "mask_pii", False)


def test_what_is_degraded_is_on_the_record_and_replies_have_no_budget() -> None:
    mask = MaskPII(names="off", budget_ms=1e-6, over_budget="patterns")
    decision = Guard(mask, channel="sms").preview(f"Write to {EMAIL}")
    assert decision.text == "Write to <EMAIL_ADDRESS>"
    assert [dict(note.detail) for note in decision.verdicts] == [{}, {"budget_ms": "1e-06", "degraded": "patterns"}]
    assert (
        Guard(MaskPII(names="off", budget_ms=4_000), channel="llm").wrap(lambda prompt: prompt + EMAIL)("")
        == "<EMAIL_ADDRESS>"
    )


@pytest.mark.parametrize("wrong", [{"budget_ms": 0}, {"budget_ms": True}, {"budget_ms": "1"}, {"over_budget": "send"}])
def test_budgets_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        MaskPII(names="off", **wrong)


def test_an_engine_of_yours_has_no_patterns_to_fall_back_to() -> None:
    with pytest.raises(ConfigError, match="deny"):
        MaskPII(analyzer=MaskPII(names="off").analyzer, over_budget="patterns")
