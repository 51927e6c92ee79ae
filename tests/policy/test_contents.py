"""A pipe in a file's place, or a file that somebody holds open, keeps nobody waiting for ever."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from guardrails import Message, from_policy
from guardrails.errors import GuardrailsError, Unavailable
from guardrails.policy import contents as module
from guardrails.policy.contents import contents
from guardrails.policy.switches.store import FileStore
from tests.policy.conftest import Write

POLICY = "version: 1\nplatform:\n  limits: {a: {rate: 5/minute}}\nexamples: [{in: a, out: a}]\n"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIPE_SECONDS", 0.05)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_file_is_read_up_to_a_byte_more_than_it_may_have(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)

    assert [len(contents(tmp_path / "a", most)) for most in (10, 99, 100, 1_000)] == [11, 100, 100, 100]
    assert len(contents("/dev/zero", 10)) == 11


def test_what_is_written_to_a_pipe_is_read_to_its_end(pipe: Path) -> None:
    def write() -> None:
        with pipe.open("wb") as stream:
            for number in range(3):
                stream.write(b"%d" % number * 100_000)
                stream.flush()

    writer = threading.Thread(target=write)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer begins
    writer.start()
    while not (found := contents(pipe, 10**6)):
        time.sleep(0)
    writer.join()
    os.close(descriptor)

    assert set(found) <= set(b"012")


@pytest.mark.usefixtures("short")
def test_a_pipe_that_nobody_writes_to_is_an_error_and_no_wait(pipe: Path) -> None:
    assert contents(pipe, 10) == b""
    holder = os.open(pipe, os.O_RDWR)
    with pytest.raises(TimeoutError):
        contents(pipe, 10)
    with pytest.raises(OSError, match="it is no file"):
        contents(pipe, 10, pipes=False)
    os.close(holder)


def test_nothing_stays_open_of_what_cannot_be_read(tmp_path: Path) -> None:
    before = os.open(os.devnull, os.O_RDONLY)
    os.close(before)
    for _ in range(10):
        with pytest.raises(IsADirectoryError):
            contents(tmp_path, 10)
    after = os.open(os.devnull, os.O_RDONLY)
    os.close(after)
    assert after == before


@pytest.mark.usefixtures("short")
def test_g10_a_pipe_in_a_policys_place_leaves_the_last_good_one_and_a_guard_that_can_be_closed(write: Write) -> None:
    path = write(POLICY)
    with from_policy(path, channel="sms") as guard:
        path.unlink()
        os.mkfifo(path)
        holder = os.open(path, os.O_RDWR)
        with pytest.raises(GuardrailsError, match="nothing comes out of it"):
            guard.reload()
        guard.run(Message("hello", channel="sms"), lambda message: message.text)
        os.close(holder)
        path.unlink()
        write(POLICY.replace("5/minute", "6/minute"))
        assert guard.reload()


def test_g10_a_pipe_in_the_place_of_switches_holds_up_no_send(write: Write, tmp_path: Path, pipe: Path) -> None:
    key = "wV0x7eDcyJkpQvCUZCVM1yLxMVJFe7mnXhBf9dIEgbs="
    switches = f"platform:\n  switches: {{file: pipe, operators: {{ann: '{key}'}}}}\n"
    with from_policy(write(POLICY.replace("platform:\n", switches)), channel="sms") as guard, pytest.raises(Unavailable):
        guard.run(Message("hello", channel="sms"), lambda message: message.text)
    with pytest.raises(Unavailable):
        FileStore(pipe).append(b"{}")
