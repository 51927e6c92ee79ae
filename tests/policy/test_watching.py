# ruff: noqa: ARG005 - a signal handler takes what it is given
"""A policy that is watched follows its file, and nothing that is written there ends the watch."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardrails import from_policy
from guardrails.errors import ConfigError
from guardrails.policy import Policy
from guardrails.policy.watching import reload_on_sighup
from guardrails.testing import RecordingSend
from tests.policy.conftest import Write
from tests.policy.sample import Held

POLICY = 'version: 1\nplatform: {checks: {sign: {use: "tests.policy.sample:Sign", settings: {sign: "a"}}}}\n'


class Heard(logging.Handler):
    """Says when the policy's log says something."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = threading.Event()
        self.refused = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "is in force" in text:
            self.taken.set()
        if "was not taken" in text:
            self.refused.set()


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    logger = logging.getLogger("guardrails.policy")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def replace(path: Path, text: str) -> None:
    """As a deployment does it: another file, in one step."""
    other = path.with_name("next.yaml")
    other.write_text(text, encoding="utf-8")
    other.replace(path)


def test_a_watched_policy_follows_its_file_and_survives_a_bad_one(write: Write, heard: Heard) -> None:
    path = write(POLICY)
    guard = from_policy(path, watch=True)
    try:
        assert guard.preview("-").text == "-a"
        path.write_text(POLICY[:40], encoding="utf-8")  # half of it is there
        assert heard.refused.wait(15)
        assert guard.preview("-").text == "-a"
        replace(path, POLICY.replace('"a"', '"b"'))
        assert heard.taken.wait(15)
        assert guard.preview("-").text == "-b"
        assert Policy.at(path).refused >= 1
    finally:
        Policy.at(path).stop_watching()


def test_watching_twice_is_watching_once(write: Write) -> None:
    policy = Policy.at(write(POLICY))
    policy.watch()
    first = policy._watch
    policy.watch()
    assert policy._watch is first
    policy.stop_watching()
    policy.stop_watching()


def test_without_the_extra_watching_is_a_config_error_that_names_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(ConfigError, match=r"platform-guardrails\[watch\]"):
        from_policy(write(POLICY), watch=True)


def test_sighup_reloads_and_what_handled_it_before_is_still_called(write: Write, heard: Heard) -> None:
    path = write(POLICY)
    called: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: called.append(number))
    try:
        guard = from_policy(path, on_sighup=True)
        replace(path, POLICY.replace('"a"', '"b"'))
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard.taken.wait(15)
        assert guard.preview("-").text == "-b"
        assert called == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sighup_can_be_asked_for_in_the_main_thread_only(write: Write) -> None:
    policy = Policy.at(write(POLICY))
    failed: list[ConfigError] = []

    def ask() -> None:
        try:
            reload_on_sighup(policy)
        except ConfigError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(failed) == 1


def test_a_first_send_in_the_middle_of_a_reload_waits_for_it_and_both_end(write: Write) -> None:
    text = """\
        version: 1
        platform: {canary_every: 1h, checks: {held: {use: "tests.policy.sample:held"}}}
        examples: [{in: hello, out: hello}]
        """
    guard = from_policy(write(text), channel="sms")
    send = guard.wrap(RecordingSend())
    write(text.replace("1h", "2h").replace("in: hello, out: hello", "in: hold, out: hold"))
    threads = [threading.Thread(target=guard.reload, daemon=True)]
    threads[0].start()
    assert Held.runs.wait(20)
    threads.append(threading.Thread(target=send, args=("+12125550173", "hello"), daemon=True))
    threads[1].start()
    for _ in range(10_000_000):
        if not guard._life._lock.acquire(blocking=False):  # it is opening, and waits for the policy
            break
        guard._life._lock.release()
    Held.go.set()
    for thread in threads:
        thread.join(20)
    assert [thread.is_alive() for thread in threads] == [False, False]
    assert guard.canary_every_seconds == 7_200
    guard.close()
