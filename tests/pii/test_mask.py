"""What is found, what becomes of it, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from guardrails.core.control import Control
from guardrails.errors import ConfigError
from guardrails.pii import MaskPII
from guardrails.pii.registry import DEFAULT_ENTITIES, pattern_entities
from tests.pii.texts import EXAMPLES


@pytest.mark.parametrize(("entity", "value"), [(entity, value) for entity in EXAMPLES for value in EXAMPLES[entity]])
def test_every_example_is_found_whole_and_by_its_name(mask_pii: MaskPII, entity: str, value: str) -> None:
    found = [(finding.type, finding.start, finding.end) for finding in mask_pii.find(f"it is {value} today")]
    assert found == [(entity, 6, 6 + len(value))]


def test_the_default_set_is_what_is_documented(mask_pii: MaskPII) -> None:
    assert mask_pii.entities == set(DEFAULT_ENTITIES) == {*EXAMPLES, "MEDICAL_RECORD_NUMBER", "ID", "SECRET"}


def test_it_is_a_control_of_kind_mask(mask_pii: MaskPII) -> None:
    assert isinstance(mask_pii, Control)
    assert mask_pii.kind == "mask"


@pytest.mark.parametrize(
    "text",
    [
        "ok..th see u",
        "me.ne",
        "so...no way",
        "order 12345678 at 10:30 for $120.50",
        "version 3.12.1 is out",
        "the meeting is.in room 4",
        "12/05/2026",
        "",
    ],
)
def test_what_is_not_personal_stays(mask_pii: MaskPII, text: str) -> None:
    assert mask_pii.mask(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see http://example.com:8080/a?b=c.", "see <URL>."),
        ("see https://example.community/ann?token=1", "see <URL>"),
        ("see www.example.museum, ok", "see <URL>, ok"),
        ("see example.museum/ann!", "see <URL>!"),
        ("see example.com?q=ann now", "see <URL> now"),
        ("see example.com.", "see <URL>."),
        ("ann@example.com/inbox", "<EMAIL_ADDRESS>"),
    ],
)
def test_a_web_address_goes_with_its_port_path_and_query(mask_pii: MaskPII, text: str, expected: str) -> None:
    masked, findings = mask_pii.mask(text)
    assert masked == expected
    assert len(findings) == 1


def test_overlapping_finds_are_one_and_the_surest_names_it(mask_pii: MaskPII) -> None:
    findings = mask_pii.find("ssn 078-05-1120")
    assert [(f.type, f.start, f.end, f.score) for f in findings] == [("US_SSN", 4, 15, 0.85)]


def test_positions_are_code_points(mask_pii: MaskPII) -> None:
    assert [(f.start, f.end) for f in mask_pii.find("👍é ann@example.com")] == [(3, 18)]


def test_what_is_off_by_default_can_be_asked_for() -> None:
    found = MaskPII(entities=["DATE_TIME", "US_DRIVER_LICENSE"], thresholds={"US_DRIVER_LICENSE": 0.01}).find(
        "born 2001-02-03, licence A1234567"
    )
    assert [finding.type for finding in found] == ["DATE_TIME", "US_DRIVER_LICENSE"]


def test_every_entity_that_can_be_asked_for_works() -> None:
    everything = MaskPII(entities=sorted(pattern_entities()))
    assert everything.entities == set(pattern_entities())
    assert "ann@example.com" not in everything.mask("to ann@example.com")[0]


def test_a_threshold_may_be_one_number_or_one_per_entity() -> None:
    text = "+1 212 555 0173, ann@example.com"
    assert [f.type for f in MaskPII(thresholds=0.6).find(text)] == ["EMAIL_ADDRESS"]
    assert [f.type for f in MaskPII(thresholds={"PHONE_NUMBER": 0.5}).find(text)] == ["EMAIL_ADDRESS"]
    assert [f.type for f in MaskPII(thresholds={"DEFAULT": 1, "PHONE_NUMBER": 0.1}).find(text)] == [
        "PHONE_NUMBER",
        "EMAIL_ADDRESS",
    ]


def test_allowed_strings_stay_and_longer_ones_do_not() -> None:
    control = MaskPII(allow=["support@example.com"])
    masked, _ = control.mask("support@example.com, xsupport@example.com, Support@example.com, ann@example.com")
    assert masked == "support@example.com, <EMAIL_ADDRESS>, <EMAIL_ADDRESS>, <EMAIL_ADDRESS>"


def test_placeholders_in_a_text_are_left_alone(mask_pii: MaskPII) -> None:
    assert mask_pii.mask("<URL> <PERSON> <PHONE_NUMBER>")[0] == "<URL> <PERSON> <PHONE_NUMBER>"


def test_repr_shows_the_configuration_only() -> None:
    shown = repr(MaskPII(allow=["ann@example.com"], name="pii"))
    assert "EMAIL_ADDRESS" in shown
    assert "name='pii'" in shown
    assert "ann@" not in shown
    assert "ann" not in repr(MaskPII().filter())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"names": "everything"}, 'use "model", "off", "spacy:<installed package>" or a presidio EntityRecognizer'),
        ({"entities": ["EMAIL"]}, "did you mean 'EMAIL_ADDRESS'"),
        ({"entities": ["PERSON"], "names": "off"}, "unknown entity 'PERSON'"),
        ({"entities": []}, "at least one"),
        ({"entities": "URL"}, "list"),
        ({"thresholds": {"PHONE": 0.5}}, "did you mean 'PHONE_NUMBER'"),
        ({"thresholds": 2}, "from 0 to 1"),
        ({"thresholds": {"URL": True}}, "from 0 to 1"),
        ({"operators": {"EMAIL": "replace"}}, "did you mean 'EMAIL_ADDRESS'"),
        ({"operators": {"URL": "shred"}}, "unknown operator"),
        ({"operators": {"URL": 3}}, "int is no operator"),
        ({"operators": ["URL"]}, "mapping"),
        ({"allow": "example.com"}, "list"),
        ({"allow": [""]}, "non-empty"),
        ({"analyzer": object()}, "AnalyzerEngine or the path of its YAML file, not object"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_to_write(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        MaskPII(**arguments)  # type: ignore[arg-type]  # wrong on purpose
    assert says in str(raised.value)


def test_importing_loads_nothing_heavy() -> None:
    code = (
        "import sys, guardrails, guardrails.pii\n"
        "heavy = {'presidio_analyzer', 'presidio_anonymizer', 'spacy', 'tldextract', 'phonenumbers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "guardrails.pii.MaskPII()\n"
        "assert 'presidio_anonymizer' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
