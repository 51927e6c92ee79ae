"""What MaskPII's arguments choose: each works, and each mistake says what to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from presidio_analyzer import (
    AnalyzerEngine,
    LocalRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

from guardrails.errors import ConfigError, ControlError
from guardrails.pii import MaskPII
from guardrails.pii.context import WholeWords, in_context, phrases
from guardrails.pii.registry import DEFAULT_ENTITIES
from guardrails.pii.spans import Span
from tests.pii.texts import SHORT

EMPLOYEE = PatternRecognizer(
    "EMPLOYEE_ID", name="Employees", patterns=[Pattern("id", r"\bE-\d{5}\b", 0.2)], context=["employee"]
)
YAML = """
recognizers:
  - name: Projects
    supported_language: en
    supported_entity: PROJECT
    deny_list: [Apollo, Gemini]
  - name: Parcels
    supported_language: en
    supported_entity: PARCEL
    patterns: [{name: parcel, regex: "\\\\bP\\\\d{6}\\\\b", score: 0.6}]
"""


def masked(text: str, **arguments: Any) -> str:
    return MaskPII(**{"names": "off", **arguments}).mask(text)[0]


# Context words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my ssn is 219099999", "my ssn is <US_SSN>"),
        ("SSN: 219099999", "SSN: <US_SSN>"),
        ("social security number 219-099999", "social security number <US_SSN>"),
        ("order 219099999", "order 219099999"),
        ("classnumber 219099999 is a number", "classnumber 219099999 is a number"),
        ("ssn one two three four five 219099999", "ssn one two three four five 219099999"),
    ],
)
def test_context_words_count_as_whole_words_near_the_match(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


def test_a_context_of_two_words_counts_as_both() -> None:
    of = phrases(["driver license"])
    assert in_context("her driver license: D1234567", 20, of)
    assert not in_context("license of a driver D1234567", 20, of)


def test_no_word_counts_across_a_placeholder() -> None:
    assert not in_context("ssn <URL> 219099999", 10, phrases(["ssn", "url"]))


def test_a_word_that_is_cut_by_the_reach_does_not_count() -> None:
    text = "lesson" + " " * 117 + "219099999"
    assert not in_context(text, len(text) - 9, phrases(["son"]))


def test_the_enhancer_serves_a_plain_engine_and_takes_context_from_its_caller() -> None:
    registry = RecognizerRegistry(recognizers=[EMPLOYEE], supported_languages=["en"])
    silent = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}])
    engine = AnalyzerEngine(
        registry=registry, nlp_engine=silent, supported_languages=["en"], context_aware_enhancer=WholeWords()
    )

    def scores(text: str, **given: Any) -> list[float]:
        return [one.score for one in engine.analyze(text, language="en", **given)]

    assert scores("employee E-12345") == scores("E-12345", context=["employee"]) == [0.55]
    assert scores("E-12345") == scores("unemployee E-12345") == [0.2]


@settings(max_examples=100, deadline=None)
@given(text=SHORT)
def test_with_context_a_segment_is_what_the_controls_engine_answers(text: str) -> None:
    text = "my ssn passport card phone: " + text
    analyzed = CONTROL.analyzer.analyze(text, language="en")
    assert sorted(CONTROL._detector.spans(text)) == sorted(
        Span(one.start, one.end, one.entity_type, one.score) for one in analyzed
    )


CONTROL = MaskPII(names="off", countries=["us", "uk"], thresholds=0.0, deny=["Apollo"])


# recognizers=


def test_recognizers_of_a_user_find_beside_ours() -> None:
    control = MaskPII(names="off", recognizers=[EMPLOYEE])
    assert control.mask("employee E-12345, ann@example.com")[0] == "employee <EMPLOYEE_ID>, <EMAIL_ADDRESS>"
    assert control.entities == {*DEFAULT_ENTITIES, "EMPLOYEE_ID"}
    assert masked("my E-12345", recognizers=[EMPLOYEE]) == "my E-12345"
    assert masked("my E-12345", recognizers=[EMPLOYEE], thresholds={"EMPLOYEE_ID": 0.2}) == "my <EMPLOYEE_ID>"


def test_a_recognizer_keeps_the_thresholds_that_its_user_gave_it() -> None:
    eager = PatternRecognizer("EMPLOYEE_ID", patterns=[Pattern("id", r"\bE-\d{5}\b", 0.2)])
    eager.score_thresholds = {"EMPLOYEE_ID": 0.1}
    assert masked("my E-12345", recognizers=[eager]) == "my <EMPLOYEE_ID>"


def test_a_registry_may_be_brought_whole_and_in_another_language() -> None:
    spanish = PatternRecognizer("PEDIDO", supported_language="es", patterns=[Pattern("id", r"\bPED\d{4}\b", 0.6)])
    registry = RecognizerRegistry(recognizers=[EMPLOYEE, spanish], supported_languages=["es"])
    text = "employee E-12345 PED1234"
    for brought in (registry, [registry]):
        assert masked(text, recognizers=brought) == "employee <EMPLOYEE_ID> <PEDIDO>"
    assert spanish.supported_language == "es"


def test_recognizers_come_from_yaml_and_dictionaries(tmp_path: Path) -> None:
    path = tmp_path / "recognizers.yaml"
    path.write_text(YAML)
    dictionary = {"name": "Codes", "supported_language": "en", "supported_entity": "CODE", "deny_list": ["x-ray"]}
    for place in (path, str(path)):
        assert masked("Apollo P123456 x-ray", recognizers=[place, dictionary]) == "<PROJECT> <PARCEL> <CODE>"


def test_names_may_be_a_recognizer_of_a_user() -> None:
    class Greeted(LocalRecognizer):
        def load(self) -> None: ...

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[RecognizerResult]:  # noqa: ARG002
            return [RecognizerResult("PERSON", *match.span(1), 0.9) for match in re.finditer(r"Dear (\w+(?:@\S+)?)", text)]

    control = MaskPII(names=Greeted(supported_entities=["PERSON"], name="Greeted"))
    assert control.mask("Dear Ann, mail me")[0] == "Dear <PERSON>, mail me"
    assert control.mask("Dear ann@example.com, mail me")[0] == "Dear <EMAIL_ADDRESS>, mail me"
    assert control.inline_characters == 0
    assert "names='Greeted'" in repr(control)
    assert "PERSON" not in MaskPII(names=Greeted(["PERSON"]), entities=["URL"]).entities


def test_entities_narrow_what_a_brought_recognizer_may_find() -> None:
    class Two(LocalRecognizer):
        def load(self) -> None: ...

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[RecognizerResult]:  # noqa: ARG002
            return [RecognizerResult("A", 0, 1, 0.9), RecognizerResult("B", 2, 3, 0.9)]

    assert masked("x y", recognizers=[Two(["A", "B"])], entities=["A", "URL"]) == "<A> y"


# allow= and deny=


def test_denied_words_are_masked_whole_in_any_case_and_in_disguise() -> None:
    control = MaskPII(names="off", deny=["Apollo", "Apollo Eleven", "C++"])
    assert control.mask("apollo eleven, APOLLO. Apollos and C++")[0] == "<DENIED>, <DENIED>. Apollos and <DENIED>"
    assert control.mask("\uff21pollo %41pollo")[0] == "<DENIED> <DENIED>"
    assert masked("Ann of Apollo", deny={"PROJECT": ["Apollo"], "NICK": ["ann"]}) == "<NICK> of <PROJECT>"
    assert masked("Apollo 192.0.2.1", deny=["Apollo"], entities=["URL"]) == "<DENIED> 192.0.2.1"


def test_allowed_patterns_are_left_alone_and_no_more_than_they_match() -> None:
    control = MaskPII(names="off", allow=[re.compile(r"[a-z]+@EXAMPLE\.com", re.IGNORECASE), "192.0.2.1"])
    assert control.mask("ann@example.com, bob@example.org, 192.0.2.1")[0] == "ann@example.com, <EMAIL_ADDRESS>, 192.0.2.1"
    assert control.mask("x.ann@example.com")[0] == "<EMAIL_ADDRESS>"
    assert "allow=2 entries" in repr(control)


def test_g10_an_allowed_pattern_out_of_time_refuses_the_text() -> None:
    control = MaskPII(names="off", allow=[re.compile(r"(?:a|a)+(?!.)b")])
    with pytest.raises(ControlError, match=r"a pattern of allow= took more than 1 seconds"):
        control.mask("a" * 200 + "b ann@example.com")  # patterns are asked about what was found


# languages= and countries=


def test_countries_add_what_presidio_knows_of_them() -> None:
    uk = MaskPII(names="off", countries=["GB"])
    assert {"UK_NHS", "UK_NINO"} <= uk.entities
    assert uk.mask("my nino is AB123456C")[0] == "my nino is <UK_NINO>"
    assert masked("my nino is AB123456C") == "my nino is AB123456C"
    assert MaskPII(names="off", countries=["in"], entities=["URL"]).entities > {"URL", "IN_PAN"}


def test_languages_add_what_presidio_keeps_for_them() -> None:
    control = MaskPII(names="off", languages=["en", "es"])
    assert control.mask("mi NIF es 12345678Z")[0] == "mi NIF es <ES_NIF>"
    assert "DE_TAX_ID" not in control.entities
    assert MaskPII(names="off", languages=["de"]).entities > {*DEFAULT_ENTITIES, "DE_TAX_ID"}


def test_an_engine_of_several_languages_is_asked_in_each() -> None:
    recognizers = [
        PatternRecognizer("A", supported_language="en", patterns=[Pattern("a", "aaa", 0.5)]),
        PatternRecognizer("B", supported_language="de", patterns=[Pattern("b", "bbb", 0.5)]),
    ]
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=["en", "de"]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": code, "model_name": ""} for code in ("en", "de")]),
        supported_languages=["en", "de"],
    )
    assert masked("aaa bbb", analyzer=engine) == "<A> bbb"
    assert masked("aaa bbb", analyzer=engine, languages=["en", "de"]) == "<A> <B>"
    assert masked("aaa bbb", analyzer=engine, language="de") == "aaa <B>"


# analyzer=


def test_an_engine_may_come_from_presidios_yaml(tmp_path: Path) -> None:
    path = tmp_path / "analyzer.yaml"
    path.write_text(
        "supported_languages: [en]\ndefault_score_threshold: 0.3\n"
        "nlp_configuration: {nlp_engine_name: no_op, models: [{lang_code: en, model_name: ''}]}\n"
        "recognizer_registry: {recognizers: [{name: EmailRecognizer, type: predefined}]}\n"
    )
    assert masked("ann@example.com, 212-555-0173", analyzer=str(path)) == "<EMAIL_ADDRESS>, 212-555-0173"


def test_g8_a_yaml_whose_model_is_missing_is_refused_before_presidio_downloads_it(tmp_path: Path) -> None:
    path = tmp_path / "analyzer.yaml"
    path.write_text("nlp_configuration: {nlp_engine_name: spacy, models: [{lang_code: en, model_name: en_core_web_lg}]}\n")
    with pytest.raises(ConfigError, match="'en_core_web_lg' is not installed here, and nothing is downloaded"):
        MaskPII(analyzer=str(path))
    path.write_text("supported_languages: [en]\n")
    with pytest.raises(ConfigError, match="no nlp_configuration; presidio would download a model"):
        MaskPII(analyzer=str(path))


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"names": "spacy:no_such_model"}, "'no_such_model' is not installed here, and nothing is downloaded"),
        ({"names": "spacy:"}, 'use "model", "off", "spacy:<installed package>"'),
        ({"names": 3}, "names=int) is not known"),
        ({"names": "spacy:json"}, "spaCy cannot load it"),
        ({"recognizers": "file.yaml"}, "takes a list, or a presidio RecognizerRegistry"),
        ({"recognizers": [3]}, "not int"),
        ({"recognizers": ["no/such/file.yaml"]}, "cannot be read: No such file"),
        ({"recognizers": [{"name": "Broken"}]}, "presidio refuses recognizer 'Broken'"),
        ({"recognizers": [SpacyRecognizer()]}, "bring the engine: MaskPII(analyzer=...)"),
        ({"recognizers": [EMPLOYEE], "entities": ["URL"]}, "nothing is left for PatternRecognizer; add EMPLOYEE_ID"),
        ({"deny": "word"}, "takes a list of str, or a mapping"),
        ({"deny": [""]}, "every entry is a str that is not blank"),
        ({"deny": {"project": ["x"]}}, "is no entity name; write it in capitals"),
        ({"deny": {"PROJECT": "x"}}, "takes a list of at least one str"),
        ({"allow": "word"}, "takes a list of str and of compiled patterns"),
        ({"allow": [re.compile(b"x")]}, "compiled patterns of str"),
        ({"languages": "en"}, "takes a list of at least one language code"),
        ({"languages": []}, "takes a list of at least one language code"),
        ({"languages": ["en"], "language": "de"}, "say it once"),
        ({"countries": ["zz"]}, "no recognizers for 'zz'; there are for au, ca, de"),
        ({"countries": "us"}, "takes a list of country codes"),
        ({"names": "model", "languages": ["ja"]}, "the name model reads en, es, fr, de, it, pt, nl"),
        ({"analyzer": 3}, "or the path of its YAML file, not int"),
        ({"analyzer": "no/such/file.yaml"}, "cannot be read"),
        ({"analyzer": CONTROL.analyzer, "deny": ["x"]}, "finds exactly what the engine finds"),
        ({"analyzer": CONTROL.analyzer, "recognizers": [EMPLOYEE]}, "finds exactly what the engine finds"),
        ({"analyzer": CONTROL.analyzer, "languages": ["de"]}, "the analyzer supports en"),
    ],
)
def test_a_wrong_argument_says_what_to_write(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        MaskPII(**{"names": "off", **arguments})


class Odd(LocalRecognizer):
    """Answers as told."""

    def __init__(self, start: Any, end: Any, score: float) -> None:
        self._answer = RecognizerResult("ODD", start, end, score)
        super().__init__(supported_entities=["ODD"], name="Odd")

    def load(self) -> None:
        """Nothing."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        del text, entities, nlp_artifacts
        return [self._answer]


@pytest.mark.parametrize(
    ("start", "end", "score"),
    [(0, 999, 1.0), (-5, 3, 1.0), (5, 3, 1.0), (0.0, 3.0, 1.0), (0, 3, float("nan")), (0, 3, 7.0), (0, 3, -0.1)],
)
@pytest.mark.parametrize("how", ["recognizers", "names", "analyzer"])
def test_g10_a_recognizer_that_names_no_place_of_the_text_refuses_it(how: str, start: Any, end: Any, score: float) -> None:
    odd = Odd(start, end, score)
    silent = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}])
    registry = RecognizerRegistry(recognizers=[odd], supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=silent, supported_languages=["en"])
    given: dict[str, Any] = {
        "recognizers": {"recognizers": [odd]},
        "names": {"names": odd},
        "analyzer": {"analyzer": engine},
    }
    with pytest.raises(ControlError, match="Odd") as refused:
        MaskPII(**{"names": "off", **given[how]}).mask("write to ann@example.com")
    assert "ann@" not in str(refused.value)


def test_a_denied_word_counts_inside_of_a_sentence_without_spaces() -> None:
    assert masked("\u8054\u7cfb\u738b\u82b3\u3002 Ann, Annie", deny=["\u738b\u82b3", "ann"]) == (
        "\u8054\u7cfb<DENIED>\u3002 <DENIED>, Annie"
    )


@pytest.mark.parametrize("language", ["en-US", "EN", "english", "e"])
def test_a_language_is_its_short_code(language: str) -> None:
    with pytest.raises(ConfigError, match="two or three small letters"):
        MaskPII(names="off", languages=[language])
