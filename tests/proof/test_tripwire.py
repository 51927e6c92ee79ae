"""Known send functions, called outside every guard, raise or are recorded; inside a guard nothing changes."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardrails import ConfigError, Denied, Guard, tripwire

sent: list[Any] = []


@pytest.fixture(autouse=True)
def _loose(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A mail server that keeps what it is given, and no wires before and after."""

    def sendmail(_self: Any, *given: Any, **_named: Any) -> dict[str, Any]:
        sent.append(given)
        return {}

    monkeypatch.setattr(smtplib.SMTP, "sendmail", sendmail)
    sent.clear()
    tripwire.forget()
    yield
    tripwire.uninstall()
    tripwire.forget()


def mail(to: str, body: str) -> None:
    smtplib.SMTP().sendmail("shop@example.com", [to], body)


def test_a_send_outside_every_guard_raises_and_is_not_sent() -> None:
    tripwire.install(mode="raise")
    with pytest.raises(Denied, match="outside every guard") as caught:
        mail("ann@example.com", "hello")
    assert sent == []
    assert caught.value.control == "tripwire"
    assert caught.value.where is not None
    assert caught.value.where.startswith(__file__)
    assert "ann@" not in str(caught.value)


def test_recording_lets_it_pass_and_says_where_once(caplog: pytest.LogCaptureFixture) -> None:
    tripwire.install(mode="record")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            mail("ann@example.com", "hello")
    assert len(sent) == 3
    (one,) = tripwire.tripped()
    assert (one.send, one.count) == ("smtplib:SMTP.sendmail", 3)
    assert one.where.rpartition(":")[0] == __file__
    assert caplog.text.count("outside every guard") == 1
    assert "ann@" not in caplog.text


def test_a_guarded_send_does_not_trip() -> None:
    tripwire.install(mode="raise")
    Guard(channel="email")(mail)("ann@example.com", "hello")
    assert len(sent) == 1
    assert tripwire.tripped() == []


async def deliver(to: str, body: str) -> str:
    sent.append((to, body))
    return "sent"


def test_sends_of_ones_own_and_coroutines_are_watched() -> None:
    here = sys.modules[__name__]
    tripwire.install(mode="raise", own=[f"{__name__}:deliver"])
    guarded = Guard(channel="sms").wrap(here.deliver)

    async def both() -> None:
        assert await guarded("+12125550173", "hello") == "sent"
        with pytest.raises(Denied):
            await here.deliver("+12125550173", "hello")

    with asyncio.Runner() as runner:
        runner.run(both())
    assert len(sent) == 1


def test_a_library_is_wired_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_gateway.py").write_text("class Gateway:\n    def send(self, to):\n        return to\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    tripwire.install(mode="raise", own=["acme_gateway:Gateway.send"])
    import acme_gateway  # type: ignore[import-not-found]  # noqa: PLC0415 - written just now

    with pytest.raises(Denied):
        acme_gateway.Gateway().send("x")
    tripwire.uninstall()
    assert acme_gateway.Gateway().send("x") == "x"


class Gateway:
    """Sends of every kind that a class can have."""

    @staticmethod
    def static(to: str) -> str:
        return to

    @classmethod
    def of_class(cls, to: str) -> str:
        return f"{cls.__name__} {to}"

    @classmethod
    async def awaited(cls, to: str) -> str:
        return f"{cls.__name__} {to}"


class Branch(Gateway):
    """Inherits them."""


def test_static_and_class_methods_are_watched_and_work() -> None:
    names = ("Gateway.static", "Gateway.of_class", "Gateway.awaited", "Branch.of_class")
    own = [f"{__name__}:{name}" for name in names]

    async def both() -> tuple[str, str]:
        return await Gateway.awaited("x"), await Branch().awaited("x")

    tripwire.install(mode="record", own=own)
    with asyncio.Runner() as runner:
        assert runner.run(both()) == ("Gateway x", "Branch x")
    assert (Gateway.static("x"), Gateway().static("x")) == ("x", "x")
    assert (Gateway.of_class("x"), Gateway().of_class("x"), Branch.of_class("x")) == ("Gateway x", "Gateway x", "Branch x")
    assert {one.send.rpartition(":")[2] for one in tripwire.tripped()} == set(names)
    tripwire.install(mode="raise")
    for send in (Gateway.static, Gateway().static, Gateway.of_class, Branch.of_class):
        with pytest.raises(Denied):
            send("x")


def test_uninstalling_leaves_nothing_in_a_class_that_inherits() -> None:
    tripwire.install(mode="raise", own=[f"{__name__}:Gateway.of_class", f"{__name__}:Branch.of_class"])
    tripwire.uninstall()
    assert "of_class" not in vars(Branch)
    assert Branch.of_class("x") == "Branch x"


def test_uninstalling_puts_everything_back() -> None:
    before = smtplib.SMTP.sendmail
    tripwire.install(mode="raise")
    tripwire.install(mode="raise")
    assert smtplib.SMTP.sendmail is not before
    tripwire.uninstall()
    assert smtplib.SMTP.sendmail is before


def test_what_cannot_be_found_is_said(caplog: pytest.LogCaptureFixture) -> None:
    tripwire.install(mode="raise", own=["json:Nothing.send"])
    assert "does not find json:Nothing.send" in caplog.text


@pytest.mark.parametrize("given", [{"mode": "deny"}, {"own": ["json.loads"]}])
def test_wrong_arguments_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="tripwire"):
        tripwire.install(**given)
