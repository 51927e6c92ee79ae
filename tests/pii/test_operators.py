"""Operators: ours, and presidio-anonymizer's."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from presidio_anonymizer.entities import OperatorConfig
from presidio_anonymizer.operators import Operator, OperatorType

from guardrails.errors import ConfigError, ControlError
from guardrails.pii import MaskPII, Partial, Replace
from tests.pii.texts import SHORT


@pytest.fixture(scope="module")
def partial() -> MaskPII:
    return MaskPII(operators={"DEFAULT": "partial"})


@pytest.mark.parametrize(
    ("entity", "value", "expected"),
    [
        ("PHONE_NUMBER", "+1 212 555 0173", "***0173"),
        ("CREDIT_CARD", "4242 4242 4242 4242", "***4242"),
        ("IBAN_CODE", "GB82 WEST 1234 5698 7654 32", "***5432"),
        ("PHONE_NUMBER", "1641", "***41"),
        ("EMAIL_ADDRESS", "ann@example.com", "***@example.com"),
        ("EMAIL_ADDRESS", "a@b@example.com", "***@example.com"),
        ("EMAIL_ADDRESS", "ann@example.com/inbox", "<EMAIL_ADDRESS>"),
        ("EMAIL_ADDRESS", "example.com", "<EMAIL_ADDRESS>"),
        ("IP_ADDRESS", "192.0.2.17", "<IP_ADDRESS>"),
    ],
)
def test_partial_keeps_the_end_of_numbers_and_never_a_local_part(entity: str, value: str, expected: str) -> None:
    assert Partial().apply(entity, value) == expected


def test_partial_keeps_as_much_as_it_is_told_but_at_most_half() -> None:
    assert Partial(keep_last=2).apply("PHONE_NUMBER", "212-555-0173") == "***73"
    assert Partial(keep_last=99).apply("PHONE_NUMBER", "212-555-0173") == "***50173"


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(text=SHORT)
def test_masking_a_partial_mask_again_reveals_nothing_more(partial: MaskPII, text: str) -> None:
    once = partial.mask(text)[0]
    twice = partial.mask(once)[0]
    shown = iter(character for character in once if character.isdigit())
    assert all(digit in shown for digit in twice if digit.isdigit())  # its digits are a subsequence


def test_operators_are_chosen_per_entity() -> None:
    control = MaskPII(operators={"DEFAULT": Replace("[removed]"), "PHONE_NUMBER": "partial", "URL": "replace"})
    assert control.mask("+1 212 555 0173 ann@example.com https://example.com")[0] == "***0173 [removed] <URL>"


def test_presidio_operator_configs_work() -> None:
    mask = OperatorConfig("mask", {"masking_char": "#", "chars_to_mask": 8, "from_end": False})
    control = MaskPII(
        operators={
            "PHONE_NUMBER": mask,
            "EMAIL_ADDRESS": OperatorConfig("replace", {"new_value": "(mail)"}),
            "URL": OperatorConfig("redact"),
            "US_SSN": OperatorConfig("replace"),
        }
    )
    masked, findings = control.mask("212-555-0173 ann@example.com https://example.com 219-09-9999")
    assert masked == "########0173 (mail)  <US_SSN>"
    assert [masked[f.placed[0] : f.placed[1]] for f in findings if f.placed] == ["########0173", "(mail)", "", "<US_SSN>"]


class Shout(Operator):
    def __init__(self, answer: object = "LOUD") -> None:
        self.answer = answer

    def operate(self, text: str, params: dict[str, object] | None = None) -> str:
        assert params is not None
        if self.answer is None:
            raise ValueError(text)
        return self.answer if self.answer != "LOUD" else f"{params['entity_type']}!"  # type: ignore[return-value]  # on purpose

    def validate(self, params: dict[str, object] | None = None) -> None: ...

    def operator_name(self) -> str:
        return "shout"

    def operator_type(self) -> OperatorType:
        return OperatorType.Anonymize


def test_an_operator_written_for_presidio_works() -> None:
    assert MaskPII(operators={"URL": Shout()}).mask("https://example.com")[0] == "URL!"


@pytest.mark.parametrize(("answer", "says"), [(None, "raised ValueError"), (7, "answered int")])
def test_a_failing_operator_refuses_the_text_without_repeating_it(answer: object, says: str) -> None:
    control = MaskPII(operators={"EMAIL_ADDRESS": Shout(answer)})
    with pytest.raises(ControlError, match=f"operator for EMAIL_ADDRESS {says}") as raised:
        control.mask("ann@example.com")
    assert "ann" not in str(raised.value)
    assert [f.type for f in control.find("ann@example.com")] == ["EMAIL_ADDRESS"]  # finding applies no operator


@pytest.mark.parametrize("config", [OperatorConfig("nonsense"), OperatorConfig("mask", {"masking_char": "secret"})])
def test_a_wrong_operator_config_is_refused_without_its_parameters(config: OperatorConfig) -> None:
    with pytest.raises(ConfigError) as raised:
        MaskPII(operators={"URL": config})
    assert "presidio-anonymizer refuses" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_keys_in_parameters_are_not_shown() -> None:
    assert "WmZq4t7w" not in repr(MaskPII(operators={"URL": OperatorConfig("encrypt", {"key": "WmZq4t7w!z%C&F)J"})}))


@pytest.mark.parametrize("keep", [0, -1, True, "4"])
def test_partial_refuses_to_keep_nothing(keep: int) -> None:
    with pytest.raises(ConfigError):
        Partial(keep_last=keep)


def test_replace_takes_text_only() -> None:
    with pytest.raises(ConfigError):
        Replace(5)  # type: ignore[arg-type]  # wrong on purpose
