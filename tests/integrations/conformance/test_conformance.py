# ruff: noqa: ARG002 - controls take what the contract gives them
"""
One suite for every integration on its real package: the twelve points of `contract.POINTS`, in every mode.

What each case shows is compared with docs/reference/integration-guarantees.json, from which the table in the docs is made;
`python -m tests.integrations.conformance` writes both anew.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guardrails import AuditLog, Guard, MaskPII, RateLimit
from guardrails.telemetry import MaskingFilter
from tests.integrations.conformance.contract import EMAIL, HIDDEN, MASKED, PHONE, POINTS, SECRET, TEXT, Host
from tests.integrations.conformance.hosts import TRIED
from tests.integrations.conformance.table import recorded, result

Case = Callable[[type[Host], str, Path, pytest.LogCaptureFixture], None]


class Crash:
    """A control that fails, with the text in its hands."""

    async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
        raise ValueError(call.message.text)


MASK = MaskPII(names="off")  # one for all: building it takes longer than most sends


def masking(*controls: Any) -> Guard:
    return Guard(*controls, MASK)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()]


def told(error: BaseException) -> str:
    """Everything that an exception says, and what hangs on it."""
    out: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        out.append(f"{seen!r} {seen} {getattr(seen, '__notes__', '')}")
        seen = seen.__cause__ or seen.__context__
    return "\n".join(out)


def outgoing_text_is_masked(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(), mode)
    try:
        host.send()
    finally:
        host.close()
    assert len(host.wire) == 1
    assert EMAIL not in host.wire[0]
    assert HIDDEN in host.wire[0].replace("&lt;", "<").replace("&gt;", ">")


def recipient_is_untouched(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(), mode)
    try:
        host.send()
    finally:
        host.close()
    assert host.people == [kind.recipient]


def reply_is_masked(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(), mode)
    try:
        answer = host.send("hello")
    finally:
        host.close()
    assert EMAIL not in answer
    assert HIDDEN in answer


def stream_is_masked_however_cut(kind: type[Host], mode: str, *_: Any) -> None:
    for cut in (1, 5, 1000):
        host = kind(masking(), mode, cut=cut)
        try:
            first, *rest = host.send("hello").split("\n")
        finally:
            host.close()
        assert first == MASKED
        assert EMAIL not in "".join(rest)


def a_refusal_sends_nothing(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(RateLimit("1/hour")), mode)
    try:
        host.send()
        with pytest.raises(kind.refusal) as caught:
            host.send()
    finally:
        host.close()
    assert len(host.wire) == 1
    assert EMAIL not in told(caught.value)


def a_crash_sends_nothing(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(Crash()), mode)
    try:
        with pytest.raises(kind.refusal) as caught:
            host.send()
    finally:
        host.close()
    assert host.wire == []
    assert EMAIL not in told(caught.value)


def retries_are_charged_once(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(RateLimit("1/hour")), mode)
    try:
        host.faults.append("busy")
        host.send()
        assert len(host.wire) == 2
        with pytest.raises(kind.refusal):
            host.send()
    finally:
        host.close()
    assert len(host.wire) == 2


def ids_reach_the_record(kind: type[Host], mode: str, folder: Path, *_: Any) -> None:
    guard = masking(AuditLog(folder, durability="os"))
    host = kind(guard, mode)
    host.conversation = "c-17"
    try:
        host.send()
    finally:
        host.close()
        guard.close()
    assert [one["conversation"] for one in records(folder) if one["stage"] == "intent"] == ["c-17"]


def intent_and_outcome(kind: type[Host], mode: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="guardrails")
    guard = masking(AuditLog(folder, durability="os"))
    host = kind(guard, mode)
    try:
        host.faults.append("error")
        with pytest.raises(kind.error):
            host.send()
        if kind.lacks(mode, 0) is None:
            host.cancel()
    finally:
        host.close()
        guard.close()
    found = [(one["stage"], one.get("result")) for one in records(folder) if one["stage"] in {"intent", "outcome"}]
    sends = 1 if kind.lacks(mode, 0) else 2
    assert [stage for stage, _ in found].count("intent") == sends
    assert [stage for stage, _ in found].count("outcome") == sends
    assert all(result != "sent" for stage, result in found if stage == "outcome"), found
    written = json.dumps(records(folder))
    assert not any(text in written for text in (SECRET, EMAIL, PHONE))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("guardrails")]
    assert not any(text in line for line in ours for text in (SECRET, EMAIL, PHONE))


def the_callers_objects_are_untouched(kind: type[Host], mode: str, *_: Any) -> None:
    host = kind(masking(), mode)
    try:
        host.send()
        first, host.given = copy.deepcopy([shown(one) for one in host.given]), host.given
        assert any(EMAIL in one for one in first)
        assert all(HIDDEN not in one for one in first)
    finally:
        host.close()


def shown(value: Any) -> str:
    return str(value.as_string()) if hasattr(value, "as_string") else repr(value)


def sync_and_async(kind: type[Host], mode: str, *_: Any) -> None:
    kinds = {host(kind, one) for one in kind.modes}
    assert kinds == {True, False}, mode


def host(kind: type[Host], mode: str) -> bool:
    made = kind.__new__(kind)
    made.mode = mode
    return made.is_async


def the_debug_log_is_clean(kind: type[Host], mode: str, _folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mask = MaskingFilter(MASK.mask)
    if kind.needs_filter:
        caplog.handler.addFilter(mask)
    made = kind(masking(), mode)
    try:
        made.send(f"{TEXT} Card 4242 4242 4242 4242.")
        made.send("hello")
    finally:
        made.close()
        caplog.handler.removeFilter(mask)
    assert EMAIL not in caplog.text
    assert "4242 4242" not in caplog.text


CHECKS: dict[int, Case] = {
    1: outgoing_text_is_masked,
    2: recipient_is_untouched,
    3: reply_is_masked,
    4: stream_is_masked_however_cut,
    5: a_refusal_sends_nothing,
    6: a_crash_sends_nothing,
    7: retries_are_charged_once,
    8: ids_reach_the_record,
    9: intent_and_outcome,
    10: the_callers_objects_are_untouched,
    11: sync_and_async,
    12: the_debug_log_is_clean,
}


@pytest.mark.parametrize(
    ("kind", "mode", "point"), TRIED, ids=[f"{kind.name}-{mode}-{point}".replace(" ", "_") for kind, mode, point in TRIED]
)
def test_g1_g3_every_integration_keeps_the_contract(
    kind: type[Host], mode: str, point: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    CHECKS[point](kind, mode, tmp_path, caplog)
    assert recorded(kind, mode, point) == result(kind, mode, point), "run: python -m tests.integrations.conformance"


def test_there_is_a_check_for_every_point() -> None:
    assert list(CHECKS) == list(POINTS)
