"""The fast way to Presidio's answers gives Presidio's answers, and steps aside where it cannot know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    LocalRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer, IbanRecognizer, PhoneRecognizer, UsBankRecognizer

from guardrails.pii import MaskPII
from guardrails.pii.fast import answers, gate
from guardrails.pii.fast.answers import Answers
from guardrails.pii.fast.hits import distinct
from guardrails.pii.fast.known import knows_presidio
from guardrails.pii.spans import Span
from tests.pii.differing import ALPHABETS, ENGINES, differing, everything, in_context, plain, texts
from tests.pii.texts import SHORT


def analyzed(engine: AnalyzerEngine, text: str, **given: Any) -> list[Span]:
    return sorted(Span(r.start, r.end, r.entity_type, r.score) for r in engine.analyze(text, language="en", **given))


def engine_of(*recognizers: EntityRecognizer) -> AnalyzerEngine:
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=list(recognizers), supported_languages=["en"]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
    )


EVERYTHING = everything()
FAST = Answers(EVERYTHING, "en", None)


def test_the_installed_presidio_is_known() -> None:
    assert knows_presidio()


@pytest.mark.parametrize(("name", "count"), [("plain", 400), ("everything", 150), ("in context", 250)])
def test_a_slice_of_the_differential_has_no_differences(name: str, count: int) -> None:
    assert list(differing(ENGINES[name](), texts(f"slice of {name}", count))) == []


def test_a_separator_that_is_space_to_one_matcher_only_is_no_difference() -> None:
    assert list(differing(EVERYTHING, ["tp://:\x1c@9"], FAST)) == []


@settings(max_examples=40, deadline=None)
@given(text=st.one_of(SHORT, st.text("".join(ALPHABETS), max_size=80)))
def test_any_text_gets_the_answers_of_every_recognizer_there_is(text: str) -> None:
    assert list(differing(EVERYTHING, [text], FAST)) == []


def test_the_comparison_sees_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: Answers, __: str) -> list[Span]:
        return []

    monkeypatch.setattr(Answers, "spans", nothing)
    assert list(differing(plain(), ["ann@example.com", "nothing"])) == [0]


def test_without_google_re2_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "has_re2", lambda: False)
    assert list(differing(plain(), texts("no re2", 100))) == []
    assert list(differing(everything(), texts("no re2", 30))) == []


def test_with_an_unknown_presidio_the_engine_itself_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "knows_presidio", lambda: False)
    assert list(differing(plain(), texts("unknown", 60))) == []
    control = MaskPII(names="off")
    assert control.mask("mail ann@example.com or +1 212 555 0173")[0] == "mail <EMAIL_ADDRESS> or <PHONE_NUMBER>"


def test_context_words_count_and_only_whole_answers_are_compared() -> None:
    engine = in_context()
    text = "my bank account is 945456787654"
    assert analyzed(engine, text)[0].score > UsBankRecognizer.PATTERNS[0].score
    assert sorted(Answers(engine, "en", None).spans(text)) == analyzed(engine, text)


def test_linguistic_processing_is_asked_only_where_something_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = in_context()
    ours = Answers(engine, "en", None)
    seen: list[str] = []

    def process(text: str, language: str) -> NlpArtifacts:
        seen.append(text)
        return type(engine.nlp_engine).process_text(engine.nlp_engine, text, language)

    monkeypatch.setattr(engine.nlp_engine, "process_text", process)
    assert ours.spans("See you at the station") == []
    assert seen == []
    assert ours.spans("mail ann@example.com")
    assert seen == ["mail ann@example.com"]


class Shouting(LocalRecognizer):
    """Somebody's own recognizer: no pattern, no metadata, a result of another type than it says."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["SHOUT"], name="Shouting")

    def load(self) -> None: ...

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[RecognizerResult]:  # noqa: ARG002
        return [RecognizerResult("LOUD", place, place + 1, 0.7) for place, letter in enumerate(text) if letter == "!"]


def test_a_recognizer_of_any_other_kind_runs_as_it_is_written() -> None:
    engine = engine_of(Shouting(), EmailRecognizer())
    text = "ann@example.com! Now!"
    assert sorted(Answers(engine, "en", None).spans(text)) == analyzed(engine, text) != []
    assert sorted(Answers(engine, "en", ["SHOUT"]).spans(text)) == analyzed(engine, text, entities=["SHOUT"]) != []


class Doubting(PatternRecognizer):
    """Checks of its own."""

    def validate_result(self, pattern_text: str) -> bool | None:
        return {"1": True, "2": False}.get(pattern_text[0])

    def invalidate_result(self, pattern_text: str) -> bool | None:
        return pattern_text.endswith("9") or None


def test_checks_of_a_recognizer_are_asked_in_presidios_order() -> None:
    engine = engine_of(Doubting("NUMBER", patterns=[Pattern("any", r"\b\d{3}\b|(?<=x)", 0.3)], deny_list=["Ann"]))
    text = "123 223 323 129 329 Ann x"
    assert sorted(Answers(engine, "en", None).spans(text)) == analyzed(engine, text)
    assert [(span.score, span.start) for span in analyzed(engine, text)] == [(1.0, 0), (0.3, 8), (1.0, 20)]


def test_one_pattern_object_in_two_recognizers_keeps_both_their_flags() -> None:
    shared = Pattern("word", "ann", 0.5)
    loud = PatternRecognizer("LOUD", patterns=[shared], global_regex_flags=0)
    quiet = PatternRecognizer("QUIET", patterns=[shared])
    ours = Answers(engine_of(loud, quiet), "en", None)
    assert [span.type for span in ours.spans("ANN")] == ["QUIET"]
    assert sorted(span.type for span in ours.spans("ann")) == ["LOUD", "QUIET"]


def test_a_registry_that_changed_is_read_again() -> None:
    engine = engine_of(EmailRecognizer())
    ours = Answers(engine, "en", None)
    text = "ann@example.com, DE89370400440532013000, 212-555-0173"
    assert {span.type for span in ours.spans(text)} == {"EMAIL_ADDRESS"}
    engine.registry.add_recognizer(IbanRecognizer())
    engine.registry.add_recognizer(PhoneRecognizer())
    assert sorted(ours.spans(text)) == analyzed(engine, text)
    engine.registry.remove_recognizer("EmailRecognizer")
    engine.default_score_threshold = 0.5
    assert [span.type for span in ours.spans(text)] == ["IBAN_CODE"]


def test_an_engine_that_is_not_presidios_own_answers_itself() -> None:
    class Mute(AnalyzerEngine):
        def analyze(self, *args: object, **kwargs: object) -> list[RecognizerResult]:  # noqa: ARG002
            return []

    plain_one = engine_of(EmailRecognizer())
    mute = Mute(registry=plain_one.registry, nlp_engine=plain_one.nlp_engine, supported_languages=["en"])
    assert Answers(mute, "en", None).spans("ann@example.com") == []
    chatty = engine_of(EmailRecognizer())
    chatty.log_decision_process = True
    assert Answers(chatty, "en", None).spans("ann@example.com") == analyzed(chatty, "ann@example.com")


def test_recognizers_thresholds_and_ours() -> None:
    email = EmailRecognizer()
    email.score_thresholds = {"EMAIL_ADDRESS": 1.0}
    bank = UsBankRecognizer()
    bank.score_thresholds = {"default": 0.04}
    engine = engine_of(email, bank)
    text = "ann@example.com 945456787654"
    assert sorted(Answers(engine, "en", None).spans(text)) == analyzed(engine, text)
    assert Answers(engine, "en", None, floors=lambda _, entity: 0.5 if entity == "US_BANK_NUMBER" else 0.0).spans(text) == [
        Span(0, 15, "EMAIL_ADDRESS", 1.0)
    ]


def test_a_recognizer_is_loaded_before_the_first_text() -> None:
    class Late(PatternRecognizer):
        def load(self) -> None:
            self.loads = getattr(self, "loads", 0) + 1

    late = Late("LATE", patterns=[Pattern("any", "x", 0.5)])
    late.is_loaded = False
    Answers(engine_of(late), "en", None)
    assert late.is_loaded
    assert late.loads == 2


@settings(deadline=None)
@given(
    spans=st.lists(
        st.builds(
            lambda start, size, kind, score: Span(start, start + size, kind, score),
            *(st.integers(0, 12), st.integers(1, 6), st.sampled_from("AB"), st.sampled_from([0.3, 0.5, 1.0])),
        )
    )
)
def test_duplicates_go_as_they_go_in_presidio(spans: list[Span]) -> None:
    results = [RecognizerResult(span.type, span.start, span.end, span.score) for span in spans]
    kept = EntityRecognizer.remove_duplicates(results)
    assert sorted(distinct(spans)) == sorted(Span(one.start, one.end, one.entity_type, one.score) for one in kept)
