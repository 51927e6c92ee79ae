"""
The record: which stages there are, and what each of them says.

Everything else follows from here: what the pipeline lets through, the published JSON Schema, and what the verifier holds
each line to.
"""

from __future__ import annotations

from typing import Any, Final

from guardrails.audit.grammar import Facts, Fields, Flag, Kind, Several, Whole, Word
from guardrails.core.control import RESULTS

SCHEMA_VERSION: Final = 1
FIRST_PREV: Final = "0" * 64

_ID: Final = Word(32, "[0-9a-f]{32}")
_SHA256: Final = Word(64, "[0-9a-f]{64}")
_NAME: Final = Word(128)
_TIME: Final = Word(27, "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z")
_WHOLE: Final = Whole()
_FACTS: Final = Facts()
_COUNTS: Final = Facts()

_LINKED: Final[dict[str, Kind]] = {
    "durability": Word(8, one_of=("fsync", "os")),
    "event_id": _ID,
    "prev": _SHA256,
    "schema_version": Whole(only=SCHEMA_VERSION),
    "seq": _WHOLE,
    "stream": _ID,
    "ts": _TIME,
}
_ALWAYS_MAY: Final[dict[str, Kind]] = {"policy": _NAME}
_GUARD: Final = Fields(
    {"layer": _NAME, "monitored": Flag(), "name": _NAME, "verdict": _NAME},
    {"detail": _FACTS, "duration_us": _WHOLE, "findings": _COUNTS},
)
_PERSON: Final = Fields({"digest": _NAME, "kind": _NAME})
_CONTENT: Final = Fields({"characters": _WHOLE, "parts": _WHOLE}, {"digest": _NAME})
_MESSAGE: Final[dict[str, Kind]] = {
    "channel": _NAME,
    "content": _CONTENT,
    "coverage": Fields({"scanned": _WHOLE, "unscanned": _COUNTS}),
    "direction": _NAME,
    "guards": Several(_GUARD),
    "operation": _NAME,
    "recipients": Several(_PERSON),
    "send_id": _ID,
}
_MESSAGE_MAY: Final[dict[str, Kind]] = {
    "actor": _NAME,
    "conversation": _NAME,
    "guards_omitted": _WHOLE,
    "message_class": _NAME,
    "message_key": _NAME,
    "recipients_omitted": _WHOLE,
    "span_id": Word(16, "[0-9a-f]{16}"),
    "tenant": _NAME,
    "text": Several(Fields({"characters": _WHOLE, "masked": Word(4_096)})),
    "text_omitted": Word(16, one_of=("not masked", "too long")),
    "trace_id": _ID,
}
_COUNTED: Final = Fields(
    {
        "channel": Word(64),
        "control": Word(64),
        "count": Whole(1),
        "decision": Word(64),
        "deny_code": Word(64),
    }
)
_REFUSAL_MAY: Final[dict[str, Kind]] = {
    "control": _NAME,
    "deny_code": _NAME,
    "findings": _COUNTS,
    "limit": _FACTS,
    "reason": Word(80),
}
_UNCLOSED: Final = Fields({"records": _WHOLE, "stream": _ID, "tail_bytes": _WHOLE})


def _stage(name: str, must: dict[str, Kind], may: dict[str, Kind] | None = None) -> Fields:
    return Fields({**_LINKED, "stage": Word(16, one_of=(name,)), **must}, {**_ALWAYS_MAY, **(may or {})})


RULES: Final[dict[str, Fields]] = {
    "genesis": _stage(
        "genesis",
        {"config": _FACTS, "host": _NAME, "library": _NAME, "pid": _WHOLE, "why": _NAME},
        {
            "boot": _NAME,
            "previous_head": _SHA256,
            "previous_records": _WHOLE,
            "previous_stream": _ID,
            "streams_before": Several(_ID),
            "unclosed": Several(_UNCLOSED),
            "unclosed_omitted": _WHOLE,
        },
    ),
    "config": _stage("config", {"change": _NAME, "facts": _FACTS}),
    "review": _stage("review", {"asked": _FACTS, "command": _NAME, "user": _NAME}),
    # An aggregate of refusals that were only counted says nothing of one message.
    "decision": _stage(
        "decision",
        {"decision": _NAME},
        {**_MESSAGE, **_MESSAGE_MAY, **_REFUSAL_MAY, "counted": Several(_COUNTED), "since": _TIME},
    ),
    "intent": _stage("intent", _MESSAGE, {**_MESSAGE_MAY, "attempt": _WHOLE, "emergency": Flag()}),
    # A rehearsal of a send, or what a round of them found.
    "canary": _stage(
        "canary",
        {"canary": _NAME},
        {**_MESSAGE, **_MESSAGE_MAY, "attempt": _WHOLE, "checks": _WHOLE, "failed": Several(_NAME), "passed": Flag()},
    ),
    "outcome": _stage(
        "outcome",
        {"duration_us": _WHOLE, "result": Word(16, one_of=RESULTS), "send_id": _ID},
        {
            "error_code": _NAME,
            "error_type": _NAME,
            "guards": Several(_GUARD),
            "guards_omitted": _WHOLE,
            "released_characters": _WHOLE,
            "reply": _NAME,
        },
    ),
    "checkpoint": _stage("checkpoint", {"number": Whole(1), "previous_note": _SHA256}),
    "tombstone": _stage(
        "tombstone",
        {
            "ended": _TIME,
            "expired_stream": _ID,
            "head": _SHA256,
            "records": _WHOLE,
            "retain_days": Whole(1),
            "root": _SHA256,
        },
    ),
    "close": _stage("close", {"records": _WHOLE, "why": _NAME}, {"number": Whole(1), "previous_note": _SHA256}),
}
# Which fields a stage can have, in the order of its lines.
STAGE_FIELDS: Final = {stage: tuple(sorted({**rule.must, **rule.may})) for stage, rule in RULES.items()}
STAGES: Final = tuple(RULES)
DECISIONS: Final = ("deny", "defer", "error", "cancel", "reply", "counted")  # what a decision record may say


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:platform-guardrails:audit-record:{SCHEMA_VERSION}",
        "title": "A record of the audit log",
        "description": "One line of a *.jsonl file, in the canonical form of RFC 8785.",
        "oneOf": [{"title": stage, **rule.schema()} for stage, rule in RULES.items()],
    }
