"""Letters that no detector of names reads are counted, and refused by a strict guard."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrails import AuditLog, Guard
from guardrails.errors import Denied
from guardrails.pii import MaskPII
from guardrails.pii.names.recognizer import NameRecognizer
from guardrails.pii.scripts import unread


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann Smith, caf\u00e9 \u00c5ngstr\u00f6m \u0141\u00f3d\u017a \u1ea1 \u00aa \ufb01", {}),
        ("\uff21\uff4e\uff4e \u2115 \U0001d400 \u212a 12\u00b2 \u20ac \U0001f600 \u0301", {}),
        ("\u0410\u043d\u043d\u0430 Ann", {"CYRILLIC": 4}),
        ("\u674e\u660e \uff76\uff85 \ud55c \u05d0", {"CJK": 2, "KATAKANA": 2, "HANGUL": 1, "HEBREW": 1}),
        ("\u0639 \u0e01", {"ARABIC": 1, "THAI": 1}),
        ("\ud83d \ue000 \U000e0041", {}),
    ],
)
def test_letters_are_counted_by_script(text: str, expected: dict[str, int]) -> None:
    assert unread(text) == expected


def test_the_record_counts_them_and_a_strict_guard_refuses_them() -> None:
    control = MaskPII()
    sent: list[str] = []

    def send(to: str, body: str) -> None:
        sent.append(body)

    lenient, strict = Guard(control)(send), Guard(control, strict=True)(send)
    lenient("+12125550173", "\u0410\u043d\u043d\u0430 is here")
    assert len(sent) == 1
    strict("+12125550173", "Ann\u00e9 is here")
    with pytest.raises(Denied, match="strict: letters of 2 scripts that no detector reads"):
        strict("+12125550173", "\u0410\u043d\u043d\u0430 and \u05d0")
    assert len(sent) == 2


def test_the_audit_record_has_the_counts(tmp_path: Path) -> None:
    guard = Guard(AuditLog(tmp_path / "audit", durability="os"), MaskPII(), channel="sms")

    @guard
    def send(to: str, body: str) -> None: ...

    send("+12125550173", "\u0410\u043d\u043d\u0430 is here")
    guard.close()
    lines = [line for path in (tmp_path / "audit").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert [line for line in lines if '"coverage":{"scanned":1,"unscanned":{"script CYRILLIC":4}}' in line]


def test_without_a_name_model_nobody_claims_to_read_names() -> None:
    text = "\u0410\u043d\u043d\u0430"
    assert MaskPII(names="off").unread(text) == {}
    assert MaskPII(names=NameRecognizer()).unread(text) == {}
    assert MaskPII().unread(text) == {"CYRILLIC": 4}
