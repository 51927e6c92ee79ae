"""Texts that personal data hides in, and the comparison of our findings with Presidio's; also used by `make differential`."""

from __future__ import annotations

import random  # noqa: TID251 - seeded texts, nothing secret
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine, NoOpNlpEngine, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from guardrails.pii.cards import CardAmongNumbers
from guardrails.pii.fast.answers import Answers
from guardrails.pii.labelled import LabelledNumber, LabelledPhone, MedicalRecordNumber
from guardrails.pii.offline import use_bundled_suffixes
from guardrails.pii.phones import SharedPhone
from guardrails.pii.recognizers import DEFAULT_RECOGNIZERS, build
from guardrails.pii.recognizers_more import GluedEmail, InternationalPhone, LocalPhone
from guardrails.pii.registry import pattern_entities
from guardrails.pii.secrets import Secret
from tests.pii.texts import EXAMPLES

VALUES: Final = [value for values in EXAMPLES.values() for value in values]
WORDS: Final = (
    *(
        "Call",
        "on",
        "order 0012345",
        "tel. 612 34 56 78",
        "4111,1111,1111,1111",
        "at 10:30",
        "the 3/10/2011",
        "for $120.50",
        "or",
        "ext. 12",
        "fax:",
        "2012-01-02 08:00",
    ),
    *("my card", "passport A1234567", "ssn", "driver license D1234567", "bank account 123456789", "MRN 0012345"),
    *("caf\u00e9", "\u017fsn", "\u212aelvin", "\U0001f600", "NINO AB123456C", "tfn 123 456 782", "ok..th", "me.ne"),
    *("nhs 943 476 5919", "\u0130stanbul"),
    *(
        "4242424242424242",
        "A1234567Z",
        "PAN ABCDE1234F",
        "aadhaar 2345 6789 0124",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    ),
    *(
        "550e8400-e29b-41d4-a716-446655440000",
        "S1234567D",
        "12.3.45-678.90",
        "+27 82 123 4567",
        "dob 1980-02-29",
        "X1234567L",
    ),
)
ALPHABETS: Final = (
    "0123456789" * 3 + "-. +()/x",
    "0123456789 ",
    "0123456789" * 2 + " -+().,:/xX#~;ext%$a\u00e9\u00a0\u0663\uff0b\uff08\uff09[]\n",
    "0123456789" * 2 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "- ",
    "0123456789abcdefABCDEF" * 2 + ":-. /@_",
    "abcdefghijklmnopqrstuvwxyz" + "@@..--://www.com.org" + "0123 \n\"'<>",
    "abz09 .@:/-_\u017f\u212a\u0130\u0131\u00e9\u0301\u4e2d\u0663\U0001f600\ud83d\u2028\x1c\x85\t",
)
STARTS: Final = (
    *("", "+", "00", "011", "0", "1", "49", "+49 ", "+1 ", "55", "0055", "91", "972", "33", "44", "(0", "014"),
    *("GB82WEST", "DE89 3704 ", "4242", "http://", "a@", "192.168.", "2001:db8::", "00:00:5E", "ssn ", "078-05-", "1BvB"),
    "passport ",
)


def texts(seed: str, count: int) -> Iterator[str]:
    """*count* texts, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - texts for a comparison
    for number in range(count):
        if number % 4 == 0:
            yield mutated(dice, " ".join(dice.choices((*VALUES, *WORDS), k=dice.randint(1, 10))))
        else:
            alphabet = dice.choice(ALPHABETS)
            yield dice.choice(STARTS) + "".join(dice.choices(alphabet, k=dice.randint(3, 40)))


def mutated(dice: random.Random, text: str) -> str:
    """*text* with up to eight characters changed."""
    characters = list(text)
    for _ in range(dice.randint(0, 8)):
        place = dice.randrange(len(characters))
        characters[place] = dice.choice((*dice.choice(ALPHABETS), "", characters[place] * 2)) or " "
    return "".join(characters)


def compare(over: Iterable[str]) -> Iterator[int]:
    """Which of *over*, by number, have different phone numbers: entity, start, end or score."""
    plain, ours = PhoneRecognizer(), SharedPhone()
    for number, text in enumerate(over):
        if _answers(plain, text) != _answers(ours, text):
            yield number


def _answers(recognizer: PhoneRecognizer, text: str) -> list[tuple[str, int, int, float]]:
    found = recognizer.analyze(text, ["PHONE_NUMBER"], None)  # type: ignore[arg-type]  # it takes None
    return sorted((each.entity_type, each.start, each.end, each.score) for each in found)


def plain() -> AnalyzerEngine:
    """What Presidio registers for English, without an NLP engine."""
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=_silent())
    return _engine(registry, _silent())


def everything() -> AnalyzerEngine:
    """Every pattern recognizer that Presidio ships for any country, and all of ours."""
    theirs = set(pattern_entities(theirs_only=True).values())
    ours = (MedicalRecordNumber, LabelledNumber, LabelledPhone, Secret, InternationalPhone, LocalPhone, GluedEmail)
    more = (*ours, CardAmongNumbers)
    kinds: list[type[EntityRecognizer]] = [*DEFAULT_RECOGNIZERS, *more, *theirs]
    registry = RecognizerRegistry(recognizers=[build(kind, "en") for kind in kinds], supported_languages=["en"])
    return _engine(registry, _silent())


def in_context() -> AnalyzerEngine:
    """What Presidio registers for English, with spaCy's tokens and without a model: context words count."""
    import spacy  # noqa: PLC0415 - for those that ask

    class Blank(SpacyNlpEngine):
        def load(self) -> None:
            self.nlp: Any = {"en": spacy.blank("en")}

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            words = self.nlp[language](text)
            for word in words:
                word.lemma_ = word.text  # without a model there is no lemma, and without a lemma no context
            return self._doc_to_nlp_artifact(words, language)

    blank = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    blank.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=_silent())
    return _engine(registry, blank)


ENGINES: Final[dict[str, Callable[[], AnalyzerEngine]]] = {
    "plain": plain,
    "everything": everything,
    "in context": in_context,
}


def differing(engine: AnalyzerEngine, over: Iterable[str], ours: Answers | None = None) -> Iterator[int]:
    """Which of *over*, by number, get other findings from us than from *engine*: entity, start, end or score."""
    use_bundled_suffixes()
    ours = ours or Answers(engine, "en", None)
    for number, each in enumerate(over):
        text = each.replace("\ud83d", "")  # half of a surrogate pair: spaCy raises
        theirs = sorted((one.start, one.end, one.entity_type, one.score) for one in engine.analyze(text, language="en"))
        if theirs != sorted(ours.spans(text)):
            yield number


def _silent() -> NoOpNlpEngine:
    return NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}])


def _engine(registry: RecognizerRegistry, nlp: NlpEngine) -> AnalyzerEngine:
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"], default_score_threshold=0)
