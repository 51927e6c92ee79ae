"""The published schema is the code's, and says what the rules say."""

from __future__ import annotations

import json
from pathlib import Path

from guardrails.audit import AuditLog, read_records
from guardrails.audit.grammar import Facts, Fields, Flag, Several, Whole, Word, wrong
from guardrails.audit.stages import RULES, json_schema
from tests.audit.sinks import KEYS, PHONE, guarded

PUBLISHED = Path(__file__).parent.parent.parent / "docs" / "reference" / "audit-record.schema.json"


def test_the_schema_in_the_documentation_is_the_one_that_the_command_prints() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == json_schema()


def test_real_records_hold_and_a_wrong_field_is_named(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, keys=KEYS)
    guarded(log)(PHONE, "hello")
    log.close()

    for record in read_records(tmp_path):
        rule = RULES[record["stage"]]
        assert wrong(record, rule) is None
        assert wrong({**record, "text": "hello"}, rule) == (
            "text has another form" if "text" in rule.may else "a field that no record has"
        )
        for name in rule.must:
            assert wrong({key: value for key, value in record.items() if key != name}, rule) == f"{name} is missing"
            assert wrong({**record, name: 1.5}, rule) == f"{name} has another form"


def test_each_kind_of_value_says_no() -> None:
    assert not Word(3).holds("abcd")
    assert not Word(3, "[0-9]{3}").holds("12a")
    assert not Word(3, one_of=("a",)).holds("b")
    assert not Whole().holds(-1)
    assert not Whole().holds(True)  # noqa: FBT003 - no number
    assert not Whole(only=1).holds(2)
    assert not Flag().holds(1)
    assert not Facts(1).holds({"a": 1, "b": 2})
    assert not Facts().holds({"é": 1})
    assert not Facts().holds({"a": [1]})
    assert not Facts().holds({"a": 2**60})
    assert not Several(Flag()).holds([True, 1])
    assert not Fields({"a": Flag()}).holds({})
    assert Facts().schema()["maxProperties"] == 16
