"""What Presidio has no recognizer for."""

from __future__ import annotations

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails.pii import MaskPII
from guardrails.pii.labelled import MedicalRecordNumber
from guardrails.pii.recognizers_more import InternationalPhone
from guardrails.pii.secrets import Secret

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ"
SECRETS = {
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + LETTERS[:36],
    "github fine": "github_pat_" + LETTERS[:36] + "_" + LETTERS[:20],
    "gitlab": "glpat-" + LETTERS[:20],
    "slack": "xoxb-" + "0000000000-" + LETTERS[:24],
    "stripe": "sk_test_" + LETTERS[:24],
    "google": "AIza" + LETTERS[:35],
    "sendgrid": "SG." + LETTERS[:22] + "." + LETTERS[:43],
    "twilio": "SK" + "0123456789abcdef" * 2,
    "npm": "npm_" + LETTERS[:36],
    "pypi": "pypi-" + LETTERS * 2,
    "model": "sk-" + LETTERS[:40],
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJhbm4ifQ." + LETTERS[:43],
    "database": "postgresql://app:" + "hunter2@db.example.com:5432/app",
    "redis": "redis://:" + "hunter2@redis.example.com",
    "azure": "AccountKey=" + LETTERS * 2 + "==",
    "key": "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY-----",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_masked_whole(mask_pii: MaskPII, secret: str) -> None:
    assert mask_pii.mask(f"use {secret} for it")[0] == "use <SECRET> for it"


def test_a_bearer_token_is_masked_and_its_label_stays(mask_pii: MaskPII) -> None:
    assert mask_pii.mask(f"Authorization: Bearer {LETTERS}")[0] == "Authorization: Bearer <SECRET>"


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn is a library",
        "task_test_me",
        "the glpat- prefix",
        "see github_pat_",
        "eyJ",
        "a PRIVATE KEY is private",
        "ratio 3:4@5",
    ],
)
def test_what_only_begins_like_a_secret_stays(mask_pii: MaskPII, text: str) -> None:
    assert "SECRET" not in {found.type for found in mask_pii.find(text)}


@pytest.mark.parametrize(
    "number",
    [
        "+41 (0)44 668 18 00",
        "+44 (0) 20 7946 0958",
        "+49(0)30 123456",
        "+1 555 555 0173",
        "+1 (999) 555-0173",
        "+15555550173",
    ],
)
def test_an_international_number_is_masked_from_its_plus_sign_on(mask_pii: MaskPII, number: str) -> None:
    assert mask_pii.mask(f"call {number} now")[0] == "call <PHONE_NUMBER> now"


@pytest.mark.parametrize(
    "text", ["10:00+02:00", "2+2 is 4", "up +12 % since", "a+12125550", "+1 000 000 000 fans", "C++11 2024-01-01"]
)
def test_a_plus_sign_alone_makes_no_number(mask_pii: MaskPII, text: str) -> None:
    assert mask_pii.mask(text) == (text, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MRN 00123456 is due", "MRN <MEDICAL_RECORD_NUMBER> is due"),
        ("mrn: AB-123456", "mrn: <MEDICAL_RECORD_NUMBER>"),
        ("Medical record number 12345-67", "Medical record number <MEDICAL_RECORD_NUMBER>"),
        ("patient id: P1234567.", "patient id: <MEDICAL_RECORD_NUMBER>."),
        ("our patient 12 of 100", "our patient 12 of 100"),
        ("the medical record keeps", "the medical record keeps"),
    ],
)
def test_a_medical_record_number_is_masked_and_its_label_stays(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


@pytest.mark.parametrize("text", ["call 555-0147", "my cell is 555 0147", "text me at 555.0147 please"])
def test_a_local_number_is_found_behind_a_word_that_says_so(mask_pii: MaskPII, text: str) -> None:
    assert [found.type for found in mask_pii.find(text)] == ["PHONE_NUMBER"]


@pytest.mark.parametrize(
    "text", ["rated 555-0147", "call 1-555-0147-9", "order 555 0147", "call 155-0147", "from 555-0147.5"]
)
def test_seven_other_digits_stay(mask_pii: MaskPII, text: str) -> None:
    assert not any(found.end - found.start == 8 for found in mask_pii.find(text))


def test_they_serve_a_plain_engine() -> None:
    registry = RecognizerRegistry(supported_languages=["en"])
    for recognizer in (InternationalPhone(), MedicalRecordNumber(), Secret()):
        registry.add_recognizer(recognizer)
    engine = AnalyzerEngine(
        registry=registry, nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": ""}]), supported_languages=["en"]
    )
    found = engine.analyze(f"+1 555 555 0173, MRN 00123456, {SECRETS['aws']}", language="en")
    assert {each.entity_type for each in found} == {"PHONE_NUMBER", "MEDICAL_RECORD_NUMBER", "SECRET"}
