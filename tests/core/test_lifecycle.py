"""Opening late, closing once, forking: no send through a guard that is not ready."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from guardrails.audit import AuditLog
from guardrails.core.guard import Guard
from guardrails.errors import ConfigError, GuardrailsError, Unavailable
from guardrails.keys import Keys
from guardrails.ratelimit import RateLimit
from guardrails.testing import CapturingSink, RecordingSend, assert_never_sent
from tests.core.doubles import Look
from tests.core.ways import TO, WAYS, Way

FUNCTIONS = [way for way in WAYS if way.kind == "function"]


class Door(Look):
    """Writes down when it is opened and closed."""

    def __init__(self, name: str, log: list[str], *, fails: int = 0) -> None:
        super().__init__()
        self.name = name
        self.log = log
        self.fails = fails

    def open(self) -> None:
        if self.fails:
            self.fails -= 1
            self.log.append(f"fail {self.name}")
            raise OSError("no space for +12125550199")
        self.log.append(f"open {self.name}")

    def close(self) -> None:
        self.log.append(f"close {self.name}")


def test_controls_are_opened_at_the_first_send_once_and_closed_in_reverse() -> None:
    log: list[str] = []
    guard = Guard(Door("a", log), Door("b", log), channel="sms")
    send = guard(RecordingSend())
    assert log == []
    send(TO, "x")
    send(TO, "x")
    assert log == ["open a", "open b"]
    guard.close()
    guard.close()
    assert log == ["open a", "open b", "close b", "close a"]


def test_a_guard_that_was_never_opened_closes_nothing() -> None:
    log: list[str] = []
    Guard(Door("a", log), channel="sms").close()
    assert log == []


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g2_a_send_after_close_is_unavailable(way: Way) -> None:
    send = way.send()
    guard = Guard(Look(), channel="sms")
    guarded = way.guarded(guard, send)
    assert way.drive(lambda: guarded) == "sent"
    guard.close()
    with pytest.raises(Unavailable, match="closed") as caught:
        way.drive(lambda: guarded)
    assert caught.value.sent is False
    assert len(send.calls) == 1


def test_a_guard_closed_before_its_first_send_is_unavailable() -> None:
    log: list[str] = []
    guard = Guard(Door("a", log), channel="sms")
    guard.close()
    send = RecordingSend()
    with pytest.raises(Unavailable):
        guard(send)(TO, "x")
    with pytest.raises(Unavailable):
        guard.preview("x")
    assert_never_sent(send)
    assert log == []


def test_a_team_closes_only_its_own_layer() -> None:
    log: list[str] = []
    platform = Guard(Door("platform", log), channel="sms")
    team = platform.extend(Door("team", log))
    other = platform.extend(Door("other", log))
    send = RecordingSend()
    team(send)(TO, "x")
    team.close()
    assert log == ["open platform", "open team", "close team"]
    with pytest.raises(Unavailable):
        team(send)(TO, "x")
    assert platform(send)(TO, "x") == other(send)(TO, "x") == "sent"
    platform.close()
    with pytest.raises(Unavailable):
        other(send)(TO, "x")
    with pytest.raises(Unavailable):
        platform.extend(Look())(send)(TO, "x")


def test_g2_closing_the_platform_first_still_closes_the_team() -> None:
    log: list[str] = []
    platform = Guard(Door("platform", log), channel="sms")
    team = platform.extend(Door("team", log))
    team(RecordingSend())(TO, "x")
    platform.close()
    team.close()
    assert log == ["open platform", "open team", "close platform", "close team"]


def test_a_guard_is_a_context_manager() -> None:
    log: list[str] = []
    with Guard(Door("a", log), channel="sms") as guard:
        assert log == ["open a"]
        assert guard(RecordingSend())(TO, "x") == "sent"
    assert log == ["open a", "close a"]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g10_a_control_that_cannot_be_opened_denies_with_its_name_and_is_tried_again(way: Way) -> None:
    log: list[str] = []
    guard = Guard(Door("first", log), Door("second", log, fails=1), channel="sms")
    send = way.send()
    with pytest.raises(GuardrailsError, match="second") as caught:
        way.deliver(guard, send)
    assert caught.value.sent is False
    assert "+1212" not in str(caught.value)
    assert caught.value.__context__ is None
    assert_never_sent(send)
    assert way.deliver(guard, send) == "sent"
    guard.close()
    assert log == ["open first", "fail second", "open second", "close second", "close first"]


def test_g10_a_guard_that_was_opened_half_way_closes_what_was_opened() -> None:
    log: list[str] = []
    guard = Guard(Door("first", log), Door("second", log, fails=1), channel="sms")
    with pytest.raises(GuardrailsError):
        guard(RecordingSend())(TO, "x")
    guard.close()
    assert log[-1] == "close first"


def test_every_control_is_closed_though_one_fails() -> None:
    log: list[str] = []

    class Stuck(Door):
        def close(self) -> None:
            super().close()
            raise OSError("stuck")

    guard = Guard(Door("a", log), Stuck("b", log), channel="sms").open()
    with pytest.raises(Exception):  # noqa: B017, PT011 - which one is open to the guard
        guard.close()
    assert log == ["open a", "open b", "close b", "close a"]


def test_threads_open_a_guard_once() -> None:
    log: list[str] = []
    guard = Guard(Door("a", log), channel="sms")
    send = guard(RecordingSend())
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        send(TO, "x")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == ["open a"]


def test_production_asks_every_control() -> None:
    class Toy(Look):
        def require_production(self) -> None:
            raise ConfigError("a toy")

    Guard(Toy(), channel="sms")
    with pytest.raises(ConfigError, match="toy"):
        Guard(Toy(), channel="sms", production=True)
    with pytest.raises(ConfigError, match="toy"):
        Guard(channel="sms", production=True).extend(Toy())


def test_closing_an_audit_log_flushes_it() -> None:
    sink = CapturingSink()
    with Guard(AuditLog(sink, keys=Keys(b"k" * 32)), channel="sms") as guard:
        guard(RecordingSend())(TO, "x")
    stages = [line["stage"] for line in sink.records]
    assert stages.count("intent") == stages.count("outcome") == 1


def _in_child(work: Any) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("opened", [False, True])
def test_a_guard_is_used_in_a_forked_child(tmp_path: Path, opened: bool) -> None:  # noqa: FBT001 - a parameter
    guard = Guard(AuditLog(tmp_path / "audit", keys=Keys(b"k" * 32)), RateLimit("5/hour"), Look(), channel="sms")
    send = guard(RecordingSend())
    if opened:
        send(TO, "x")

    def work() -> None:
        assert send(TO, "in the child") == "sent"
        guard.close()

    assert _in_child(work) == 0
    assert send(TO, "in the parent") == "sent"
    guard.close()
    files = sorted((tmp_path / "audit").rglob("*.jsonl"))
    assert len(files) >= 2
    text = "".join(file.read_text() for file in files)
    assert text.count('"stage":"intent"') == text.count('"stage":"outcome"') == (3 if opened else 2)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_holds_a_lock_of_the_guard_does_not_hang_the_child() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Look):
        def open(self) -> None:
            if threading.current_thread() is not threading.main_thread():
                entered.set()
                leave.wait(5)

    guard = Guard(Slow(), channel="sms")
    send = guard(RecordingSend())
    thread = threading.Thread(target=send, args=(TO, "x"))
    thread.start()
    entered.wait(5)
    try:
        assert _in_child(lambda: guard.preview("x")) == 0
    finally:
        leave.set()
        thread.join()
