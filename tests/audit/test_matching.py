"""The verifier's patterns say yes only where the parser and the rules would."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.audit.grammar import shapes_in, wrong
from guardrails.audit.matching import INTENT, OUTCOME, Matching
from guardrails.audit.reading import Malformed, parse
from guardrails.audit.stages import RULES

HEX = "0123456789abcdef"
LINKED: dict[str, Any] = {
    "durability": "os",
    "event_id": HEX * 2,
    "prev": HEX * 4,
    "schema_version": 1,
    "send_id": HEX * 2,
    "seq": 7,
    "stream": HEX * 2,
    "ts": "2026-01-31T08:00:00.000000Z",
}
GUARD: dict[str, Any] = {
    "detail": {"limit": "people", "remaining": 4},
    "duration_us": 4,
    "findings": {"PHONE_NUMBER": 1},
    "layer": "platform",
    "monitored": False,
    "name": "rate_limit",
    "verdict": "allow",
}
RECORDS: list[dict[str, Any]] = [
    {
        **LINKED,
        "stage": "intent",
        "channel": "sms",
        "content": {"characters": 3, "digest": "hmac-sha256:a:b", "parts": 1},
        "conversation": "c-1",
        "coverage": {"scanned": 1, "unscanned": {"bytes": 1, "int": 2}},
        "direction": "outbound",
        "guards": [GUARD, {**GUARD, "detail": {}}],
        "operation": "shop:send",
        "recipients": [{"digest": "hmac-sha256:a:b", "kind": "phone"}],
        "tenant": "acme",
    },
    {**LINKED, "stage": "outcome", "duration_us": 1, "result": "sent", "error_type": "OSError", "guards": [GUARD]},
]


def canonical(record: dict[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def taught() -> Matching:
    matching = Matching()
    for record in RECORDS:
        assert matching.record(canonical(record))[1] is None
    return matching


TAUGHT = taught()


def agree(line: bytes) -> bool:
    """Whether a pattern took the line; if one did, it must be right."""
    for stage, pattern, names in (
        ("intent", TAUGHT.patterns.intent, INTENT),
        ("outcome", TAUGHT.patterns.outcome, OUTCOME),
    ):
        match = pattern.fullmatch(line)
        if match is not None:
            caught = dict(zip(names, match.groups(), strict=True))
            if (caught["prev"], caught["stream"]) != ((HEX * 4).encode(), (HEX * 2).encode()):
                return False  # the verifier compares these two with what they must be
            record = parse(line)
            assert wrong(record, RULES[stage]) is None
            assert caught == {name: str(record[name]).encode() for name in names}
            return True
    return False


def test_what_was_seen_once_is_matched_from_then_on() -> None:
    assert [agree(canonical(record)) for record in RECORDS] == [True, True]


def test_only_key_sets_that_were_seen_are_matched() -> None:
    other = {**RECORDS[1], "guards": [{**GUARD, "detail": {"b": 1, "zone": 2}}]}
    assert not agree(canonical(other))
    swapped = canonical(RECORDS[0]).replace(b'"bytes":1,"int":2', b'"int":2,"bytes":1')
    assert not agree(swapped)
    doubled = canonical(RECORDS[0]).replace(b'"bytes":1,"int":2', b'"bytes":1,"bytes":2')
    assert not agree(doubled)


@settings(max_examples=1_000)
@given(
    record=st.sampled_from(RECORDS),
    at=st.integers(0, 2_000),
    cut=st.integers(0, 3),
    new=st.binary(max_size=3) | st.sampled_from([b",", b'"', b"{}", b"[]", b"0", b"-0", b"1.0", b"\\u0041", b"null", b"}"]),
)
def test_a_changed_line_is_matched_only_if_it_still_is_a_record(
    record: dict[str, Any], at: int, cut: int, new: bytes
) -> None:
    line = canonical(record)
    at %= len(line)
    agree(line[:at] + new + line[at + cut :])


VALUES = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=140) | st.floats(allow_nan=False)
DEEP = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=9), VALUES, max_size=3)


@pytest.mark.timeout(60)  # a thousand examples, on a machine with other things to do
@settings(max_examples=1_000)
@given(
    record=st.sampled_from(RECORDS),
    changes=st.dictionaries(st.sampled_from(sorted({*RECORDS[0], *RECORDS[1], "text", "x"})), DEEP, max_size=3),
)
def test_a_changed_value_is_matched_only_if_the_rules_hold(record: dict[str, Any], changes: dict[str, Any]) -> None:
    agree(canonical({**record, **changes}))


def test_shapes_are_those_of_free_mappings_alone() -> None:
    assert set(shapes_in(RECORDS[0], RULES["intent"])) == {("bytes", "int"), ("limit", "remaining")}


def test_what_is_no_record_is_malformed() -> None:
    for line in (b"[]", b"1", b'{"a":1.5}', b'{"a":NaN}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":"\\ud800"}', b"\xff"):
        try:
            Matching().record(line)
        except Malformed:
            continue
        raise AssertionError(line)
