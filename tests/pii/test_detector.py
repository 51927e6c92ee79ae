"""Detection equals Presidio's, fails closed, and is the same in every thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from presidio_analyzer import (
    AnalyzerEngine,
    LocalRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer import pattern_recognizer as presidio_pattern_recognizer
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer, PhoneRecognizer, UrlRecognizer

from guardrails.errors import ConfigError, ControlError
from guardrails.pii import MaskPII
from guardrails.pii.fast import answers
from guardrails.pii.patterns import PatternTimeoutError, TimedPattern
from guardrails.pii.phones import SharedPhone
from guardrails.pii.spans import Span
from tests.conftest import at_once
from tests.pii.texts import CUTS, EXAMPLES, LONG, SHORT, cut

thorough = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
CANARY = "ann@example.com"


def engine_of(*recognizers: Any, threshold: float = 0.0) -> AnalyzerEngine:
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=list(recognizers), supported_languages=["en"]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
        default_score_threshold=threshold,
    )


def analyzed(engine: AnalyzerEngine, text: str) -> list[Span]:
    return sorted(Span(r.start, r.end, r.entity_type, r.score) for r in engine.analyze(text, language="en"))


@pytest.fixture(scope="module")
def theirs() -> MaskPII:
    return MaskPII(analyzer=engine_of(EmailRecognizer(), PhoneRecognizer(), UrlRecognizer(), threshold=0.4))


@thorough
@given(text=SHORT)
def test_with_a_users_engine_a_segment_is_what_the_engine_answers(theirs: MaskPII, text: str) -> None:
    assert sorted(theirs._detector.spans(text)) == analyzed(theirs.analyzer, text)


@thorough
@given(text=SHORT)
def test_by_default_a_segment_is_what_presidio_answers_over_the_same_registry(mask_pii: MaskPII, text: str) -> None:
    assert sorted(mask_pii._detector.spans(text)) == analyzed(mask_pii.analyzer, text)


@thorough
@given(text=SHORT)
def test_phone_numbers_are_presidios(text: str) -> None:
    found = SharedPhone().analyze(text, ["PHONE_NUMBER"])
    ours = sorted((result.start, result.end, result.score) for result in found)
    plain = PhoneRecognizer().analyze(text, ["PHONE_NUMBER"], None)  # type: ignore[arg-type]  # it takes None
    assert ours == sorted((result.start, result.end, result.score) for result in plain)


def test_a_users_engine_keeps_its_own_threshold_and_entities() -> None:
    engine = engine_of(EmailRecognizer(), PhoneRecognizer(), threshold=0.45)
    text = f"{CANARY} +1 212 555 0173"
    assert [f.type for f in MaskPII(analyzer=engine).find(text)] == ["EMAIL_ADDRESS"]
    assert [f.type for f in MaskPII(analyzer=engine, thresholds={"PHONE_NUMBER": 0.4}).find(text)] == [
        "EMAIL_ADDRESS",
        "PHONE_NUMBER",
    ]
    assert MaskPII(analyzer=engine, entities=["PHONE_NUMBER"]).find(text) == []
    with pytest.raises(ConfigError, match="did you mean 'EMAIL_ADDRESS'"):
        MaskPII(analyzer=engine, entities=["EMAIL"])
    with pytest.raises(ConfigError, match="the analyzer supports en"):
        MaskPII(analyzer=engine, language="de")


@settings(thorough, max_examples=50)
@given(text=LONG, positions=CUTS)
def test_g4_holds_with_a_users_engine(theirs: MaskPII, text: str, positions: list[int]) -> None:
    masking = theirs.filter()
    assert "".join(map(masking.feed, cut(text, positions))) + masking.flush() == theirs.mask(text)[0]


@thorough
@given(text=SHORT)
def test_what_a_users_engine_finds_in_a_segment_is_covered(theirs: MaskPII, text: str) -> None:
    segment = (
        text.replace("\n", " ")
        .replace("\r", " ")
        .replace(". ", ", ")
        .replace("! ", ", ")
        .replace("? ", ", ")
        .replace("<", "(")
    )
    covered = {position for finding in theirs.find(segment) for position in range(finding.start, finding.end)}
    assert covered == {position for span in analyzed(theirs.analyzer, segment) for position in range(span.start, span.end)}


def test_results_are_the_same_in_every_thread() -> None:
    texts = [
        f"Hello {value}. Bye {other}" for values in EXAMPLES.values() for value in values for other in ("x", values[0])
    ]
    results: list[list[tuple[str, Any]]] = []
    control = MaskPII(names="off")
    at_once(*[lambda: results.append([control.mask(text) for text in texts])] * 8)
    assert results == [[MaskPII(names="off").mask(text) for text in texts]] * 8


class Broken(LocalRecognizer):
    """Fails on the canary, the way recognizers fail: with the text in the error."""

    def __init__(self) -> None:
        super().__init__(supported_entities=["BROKEN"], name="Broken")

    def load(self) -> None: ...

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[RecognizerResult]:  # noqa: ARG002
        if CANARY in text and not text.startswith("Ann,"):  # not when warming up
            raise ValueError(f"cannot read {text}")
        return []


def frames_of(error: BaseException) -> Iterator[FrameType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def holds(value: object, depth: int = 4) -> bool:
    """Whether the canary is in *value* or in what it refers to."""
    if isinstance(value, str):
        return CANARY in value
    if depth == 0:
        return False
    inside: list[object] = []
    if isinstance(value, dict):
        inside = [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inside = [*value]
    elif type(value).__module__.startswith("guardrails"):
        names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        inside = [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in names)]
    return any(holds(each, depth - 1) for each in inside)


def feed(control: MaskPII) -> object:
    return control.filter().feed(f"mail {CANARY} now. The end")


def flush(control: MaskPII) -> object:
    masking = control.filter()
    masking.feed(f"mail {CANARY} now")
    return masking.flush()


@pytest.mark.parametrize(
    "use",
    [lambda c: c.find(f"mail {CANARY}"), lambda c: c.mask(f"mail {CANARY}"), feed, flush],
    ids=["find", "mask", "feed", "flush"],
)
def test_g3_g10_a_failing_recognizer_refuses_the_text_and_leaks_nothing(use: Callable[[MaskPII], object]) -> None:
    control = MaskPII(analyzer=engine_of(Broken(), EmailRecognizer()))
    with pytest.raises(ControlError) as raised:
        use(control)
    error = raised.value
    assert str(error) == "mask_pii: recognizer Broken raised ValueError; the text was refused"
    assert error.control == "mask_pii"
    assert error.__cause__ is None
    assert error.__context__ is None
    ours = [frame for frame in frames_of(error) if "/guardrails/" in frame.f_code.co_filename]
    assert ours
    assert not [frame.f_code.co_name for frame in ours if holds(dict(frame.f_locals))]


def test_a_filter_that_failed_serves_the_next_text() -> None:
    masking = MaskPII(analyzer=engine_of(Broken(), EmailRecognizer())).filter()
    with pytest.raises(ControlError):
        masking.feed(f"{CANARY} here. Then ")
    assert masking.feed("bob@example.com") + masking.flush() == "<EMAIL_ADDRESS>"


def test_text_of_another_type_is_refused(mask_pii: MaskPII) -> None:
    with pytest.raises(ControlError, match="text must be a str, not bytes"):
        mask_pii.mask(b"x")  # type: ignore[arg-type]  # wrong on purpose


def test_a_str_that_answers_differently_is_read_once(mask_pii: MaskPII) -> None:
    class Sly(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "nothing"

        def __getitem__(self, key: Any) -> str:
            return "nothing"[key]

    assert mask_pii.mask(Sly(CANARY))[0] == "<EMAIL_ADDRESS>"


CATASTROPHE = r"(?:a|a)+(?!.)b"  # exponential, and no gate knows that it never matches


def test_a_pattern_out_of_time_is_an_error_and_not_a_skipped_pattern() -> None:
    slow = PatternRecognizer("SLOW", patterns=[TimedPattern("slow", CATASTROPHE, 0.5, seconds=0.05)])
    with pytest.raises(PatternTimeoutError):
        slow.analyze("a" * 5_000 + "b", ["SLOW"])
    control = MaskPII(analyzer=engine_of(slow))
    with pytest.raises(ControlError, match=r"a pattern of recognizer PatternRecognizer took more than 0.05 seconds"):
        control.find("a" * 1_000 + "b")


def test_a_users_pattern_that_presidio_skipped_refuses_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio_pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 0.2)
    control = MaskPII(analyzer=engine_of(PatternRecognizer("SLOW", patterns=[Pattern("slow", CATASTROPHE, 0.5)])))
    with pytest.raises(ControlError, match=r"a pattern of recognizer PatternRecognizer took more than 1 seconds"):
        control.find("a" * 1_000 + "b")


def test_a_pattern_that_presidio_itself_skipped_refuses_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio_pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(answers, "knows_presidio", lambda: False)
    control = MaskPII(analyzer=engine_of(PatternRecognizer("SLOW", patterns=[Pattern("slow", CATASTROPHE, 0.5)])))
    with pytest.raises(ControlError, match="may have skipped a pattern"):
        control.find("a" * 1_000 + "b")


def test_a_text_in_which_a_slow_pattern_cannot_match_takes_no_time() -> None:
    slow = PatternRecognizer("SLOW", patterns=[Pattern("slow", r"(?:a|a)+b", 0.5)])
    assert MaskPII(analyzer=engine_of(slow)).find("a" * 1_000) == []


def test_every_pattern_of_ours_keeps_time(mask_pii: MaskPII) -> None:
    patterns = [p for recognizer in mask_pii.analyzer.registry.recognizers for p in getattr(recognizer, "patterns", [])]
    assert patterns
    assert all(isinstance(pattern, TimedPattern) for pattern in patterns)


MOST = 262_144  # characters, the default cap of one message


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "1",
            "1234567890",
            "1 ",
            "12-",
            "(1",
            "+1",
            "@",
            "a@",
            "a.",
            ".",
            " ",
            "\n",
            "A. ",
            "a.a.a.a@",
            "ab:",
            "abcd.",
            ":",
        ),
        *("http://", "www.", "<", "<URL>", "ann@example.com ", "+1 212 555 0173 ", "GB82WEST1234", "12125550173x", "1 ext"),
    ],
)
def test_the_longest_message_takes_seconds_whatever_it_is_made_of(mask_pii: MaskPII, unit: str) -> None:
    text = unit * (MOST // len(unit))
    mask_pii.find(text)  # the limit is that of every test: 20 seconds
