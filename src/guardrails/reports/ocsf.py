"""
Sends and refusals as OCSF events: API Activity, with the profile Security Control, for a SIEM.

Rules. One event for each send or refusal. Whatever OCSF has no place for is under `unmapped`. Nothing is in an event that
is not in the record: digests stay digests.

Source: the OCSF schema (https://schema.ocsf.io), class 6003, profile security_control. Which disposition stands for which of
our decisions is our own choice, and is documented in docs/reference/ocsf.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from guardrails import __version__
from guardrails.reports.query import entities, objects, policy, recipients, text, whole
from guardrails.reports.sends import Ended

SCHEMA: Final = "1.6.0"
_CLASS, _CATEGORY, _CREATE = 6003, 6, 1
_ALLOWED, _DENIED, _NEITHER = (1, "Allowed"), (2, "Denied"), (0, "Unknown")
_INFORMATIONAL, _LOW, _MEDIUM = (1, "Informational"), (2, "Low"), (3, "Medium")
_SUCCESS, _FAILURE, _UNKNOWN = (1, "Success"), (2, "Failure"), (0, "Unknown")
# Result or decision: action, disposition, severity, status.
_MEANS: Final = {
    "sent": (_ALLOWED, (1, "Allowed"), _INFORMATIONAL, _SUCCESS),
    "cut": (_ALLOWED, (1, "Allowed"), _LOW, _FAILURE),
    "failed": (_ALLOWED, (1, "Allowed"), _LOW, _FAILURE),
    "unknown": (_ALLOWED, (1, "Allowed"), _MEDIUM, _UNKNOWN),
    "cancelled": (_ALLOWED, (1, "Allowed"), _LOW, _UNKNOWN),
    "abandoned": (_DENIED, (27, "Error"), _MEDIUM, _FAILURE),
    "deny": (_DENIED, (2, "Blocked"), _LOW, _FAILURE),
    "defer": (_DENIED, (14, "Delayed"), _INFORMATIONAL, _FAILURE),
    "error": (_DENIED, (27, "Error"), _MEDIUM, _FAILURE),
    "cancel": (_NEITHER, (99, "Cancelled"), _INFORMATIONAL, _FAILURE),
    "reply": (_DENIED, (99, "Answered by a control"), _INFORMATIONAL, _FAILURE),
    "counted": (_DENIED, (20, "Count"), _LOW, _FAILURE),
}
_CORRECTED, _LOGGED, _REJECTED = (11, "Corrected"), (17, "Logged"), (25, "Rejected")


def event(one: Ended) -> dict[str, Any]:
    """One send or refusal as one event."""
    first, outcome = one.first, one.outcome or {}
    action, disposition, severity, status = _MEANS.get(one.result, _MEANS["unknown"])
    disposition = _disposition(one, disposition)
    operation = text(first, "operation") or "unknown"
    found: dict[str, Any] = {
        "activity_id": _CREATE,
        "activity_name": "Create",
        "category_uid": _CATEGORY,
        "category_name": "Application Activity",
        "class_uid": _CLASS,
        "class_name": "API Activity",
        "type_uid": 100 * _CLASS + _CREATE,
        "type_name": "API Activity: Create",
        "time": _milliseconds(text(first, "ts")),
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": status[0],
        "status": status[1],
        "status_code": text(first, "deny_code") or text(outcome, "error_type"),
        "status_detail": text(first, "reason"),
        "message": _sentence(one),
        "metadata": _metadata(first),
        "actor": {"app_name": operation.partition(":")[0]} | _named("user", uid=text(first, "actor")),
        "api": {"operation": operation, "service": {"name": text(first, "channel") or "unknown"}}
        | _named("request", uid=text(first, "send_id"))
        | _named("response", error=text(outcome, "error_type"), code=_code(outcome)),
        "src_endpoint": {"uid": text(first, "stream") or "unknown", "svc_name": "platform-guardrails"},
        "action_id": action[0],
        "action": action[1],
        "disposition_id": disposition[0],
        "disposition": disposition[1],
        "is_alert": severity == _MEDIUM,
        "unmapped": _unmapped(one),
    }
    if policy(first) is not None:
        found["policy"] = {"uid": policy(first)}
    limit = first.get("limit")
    if isinstance(limit, dict) and text(limit, "name"):
        found["firewall_rule"] = {"name": limit["name"], "type": "rate_limit"}
    if outcome:
        found["duration"] = whole(outcome, "duration_us") // 1_000
    counted = objects(first, "counted")
    if counted:
        found["count"] = sum(whole(each, "count") for each in counted)
        found["start_time"] = _milliseconds(text(first, "since"))
    return {name: value for name, value in found.items() if value is not None}


def _disposition(one: Ended, plain: tuple[int, str]) -> tuple[int, str]:
    guards = objects(one.first, "guards")
    if one.was_refused:
        return _REJECTED if one.first.get("deny_code") == "RateLimited" else plain
    if plain[0] != 1:
        return plain
    if any(guard.get("verdict") in {"mask", "rewrite"} and not guard.get("monitored") for guard in guards):
        return _CORRECTED
    return _LOGGED if any(guard.get("verdict") in {"shadow_deny", "shadow_error"} for guard in guards) else plain


def _metadata(first: Mapping[str, Any]) -> dict[str, Any]:
    named = {
        "uid": text(first, "event_id"),
        "correlation_uid": text(first, "send_id"),
        "tenant_uid": text(first, "tenant"),
        "original_time": text(first, "ts"),
    }
    return {
        "version": SCHEMA,
        "product": {"name": "platform-guardrails", "vendor_name": "platform-guardrails", "version": __version__},
        "profiles": ["security_control"],
        "log_name": "guardrails.audit",
        "sequence": whole(first, "seq"),
        **{name: value for name, value in named.items() if value is not None},
    }


def _unmapped(one: Ended) -> dict[str, Any]:
    first, outcome = one.first, one.outcome or {}
    guards = objects(first, "guards")
    named = {
        "channel": text(first, "channel"),
        "direction": text(first, "direction"),
        "conversation": text(first, "conversation"),
        "message_class": text(first, "message_class"),
        "control": text(first, "control"),
        "result": one.result,
        "prev": text(first, "prev"),
        "reply": text(outcome, "reply"),
        "recipients": recipients(first),
        "findings": entities(first),
        "guards": [
            {name: guard[name] for name in ("layer", "name", "verdict", "monitored") if name in guard} for guard in guards
        ],
        "counted": [dict(each) for each in objects(first, "counted")],
    }
    return {name: value for name, value in named.items() if value}


def _sentence(one: Ended) -> str:
    channel = text(one.first, "channel") or "message"
    by = text(one.first, "control")
    return f"{channel}: {one.result}{f' by {by}' if by and one.was_refused else ''}"


def _named(name: str, **fields: str | int | None) -> dict[str, Any]:
    """An object of what there is; nothing if there is nothing."""
    there = {field: value for field, value in fields.items() if value is not None}
    return {name: there} if there else {}


def _code(outcome: Mapping[str, Any]) -> int | None:
    code = text(outcome, "error_code")
    return int(code) if code is not None and code.isdecimal() and len(code) < 10 else None  # noqa: PLR2004 - an int32


def _milliseconds(ts: str | None) -> int:
    if ts is None:
        return 0
    try:
        return int(datetime.fromisoformat(ts).timestamp() * 1_000)
    except ValueError:
        return 0
