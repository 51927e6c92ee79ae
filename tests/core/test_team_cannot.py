"""What a team control could try with the public contract, to send or see what the platform's mask control would not let."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from guardrails import AuditLog, Call, ControlError, Finding, Guard, GuardrailsError, MaskPII
from guardrails.audit import read_records
from guardrails.core.control import Forward, Io
from guardrails.keys import Keys
from guardrails.testing import RecordingSend

TO = "+12125550173"
MAIL = "ann@example.com"


@pytest.fixture(scope="module")
def mask() -> MaskPII:
    return MaskPII(names="off")


class LetsAllThrough:
    """A masker that masks nothing."""

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        return text, ()

    def filter(self) -> Any:
        raise AssertionError("not asked")


def test_g9_a_team_control_cannot_declare_raw_text_masked(mask: MaskPII) -> None:
    class Declares:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            return await forward(await call.with_text(f"write to {MAIL}").masked(LetsAllThrough(), io))

    send = RecordingSend(shape="sync")
    with pytest.raises(ControlError, match="mask"):
        Guard(mask, channel="sms").extend(Declares())(send)(TO, "hello")
    assert send.calls == []


def test_g9_what_a_team_control_writes_is_masked_at_the_door(mask: MaskPII) -> None:
    class Writes:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - the contract
            return await forward(call.with_text(f"{call.message.text} or {MAIL}"))

    sent: list[str] = []

    @Guard(mask, channel="sms").extend(Writes())
    def send(to: str, body: str) -> None:
        sent.append(body)

    send(TO, "call +1 212 555 0173")
    assert sent == ["call <PHONE_NUMBER> or <EMAIL_ADDRESS>"]


def test_g9_a_team_control_cannot_declare_a_raw_reply_masked(mask: MaskPII) -> None:
    class Declares:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            await forward(call)
            with contextlib.suppress(GuardrailsError):
                await call.masked_reply(f"write to {MAIL}", LetsAllThrough(), io)
            return f"write to {MAIL}"

    @Guard(mask, channel="llm").extend(Declares())
    def ask(prompt: str) -> str:
        return prompt

    assert ask("hello") == "write to <EMAIL_ADDRESS>"


def test_g9_a_team_control_sees_masked_replies_only(mask: MaskPII) -> None:
    seen: list[object] = []

    class Looks:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - the contract
            seen.append(await forward(call))
            return seen[-1]

    @Guard(mask, channel="llm").extend(Looks())
    def ask(prompt: str) -> str:
        return f"{prompt}: {MAIL}"

    assert ask("mail") == "mail: <EMAIL_ADDRESS>"
    assert seen == ["mail: <EMAIL_ADDRESS>"]


def test_g9_a_team_control_cannot_filter_a_stream_outside_the_mask(mask: MaskPII) -> None:
    kept: list[Any] = []

    class Keeps:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - the contract
            kept.append(await forward(call))
            return kept[-1]

    class Adds:
        def feed(self, chunk: str, /) -> str:
            return f"{chunk} {MAIL}"

        def flush(self) -> str:
            return ""

    @Guard(mask, channel="llm").extend(Keeps())
    def ask(prompt: str) -> Iterator[str]:
        return iter([prompt, " and more."])

    stream = ask("hello")
    with pytest.raises(ControlError, match="left this control"):
        kept[0].add_filter(Adds())
    assert "".join(stream) == "hello and more."


def test_g3_what_a_team_control_notes_is_masked_in_the_record(mask: MaskPII, tmp_path: Path) -> None:
    class Notes:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - the contract
            call.note("allow", detail={"who": MAIL})
            return await forward(call)

    with Guard(AuditLog(tmp_path, keys=Keys.ephemeral()), mask, channel="sms") as guard:
        guard.extend(Notes())(RecordingSend(shape="sync"))(TO, "hello")

    records = list(read_records(tmp_path))
    assert not any(MAIL in str(record) for record in records)
    assert any("<EMAIL_ADDRESS>" in str(record) for record in records)


def test_a_preview_opens_no_audit_log(mask: MaskPII, tmp_path: Path) -> None:
    guard = Guard(AuditLog(tmp_path / "log", keys=Keys.ephemeral()), mask, channel="sms")
    assert guard.preview(f"write to {MAIL}").text == "write to <EMAIL_ADDRESS>"
    assert not (tmp_path / "log").exists()
