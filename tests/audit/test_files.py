"""Files: whose they are, how lines get into them, and what happens when the disk does not play along."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from guardrails.audit import AuditLog, JsonlDirectory, verify_directory
from guardrails.errors import Unavailable
from tests.audit.sinks import KEYS, PHONE, eventually, guarded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and open files")
STREAM = "0" * 32
both = pytest.mark.parametrize("durability", ["fsync", "os"])


def test_folder_and_file_are_for_their_owner_only(tmp_path: Path) -> None:
    sink = JsonlDirectory(tmp_path / "a" / "b")
    sink.open(STREAM)
    assert sink.path is not None

    assert stat.S_IMODE(sink.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(sink.path.parent.stat().st_mode) == 0o700
    assert sink.path.name.endswith(f"-{STREAM}.jsonl")
    sink.close()
    assert sink.path is None


def test_a_new_stream_is_a_new_file_and_nobody_is_overwritten(tmp_path: Path) -> None:
    sink = JsonlDirectory(tmp_path)
    for number in range(3):
        sink.open(f"{number:032x}")
        sink.write([b"x\n"], durable=False)
    sink.close()

    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"x\n"] * 3


def test_nothing_is_written_without_an_open_stream(tmp_path: Path) -> None:
    sink = JsonlDirectory(tmp_path)
    with pytest.raises(OSError, match="no stream is open"):
        sink.write([b"x\n"], durable=True)
    sink.close()


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_deleted_or_replaced_under_us_is_a_failure(
    tmp_path: Path, *, durable: bool, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guardrails.audit.files._LOOK_EVERY_SECONDS", -1.0)
    sink = JsonlDirectory(tmp_path)
    sink.open(STREAM)
    assert sink.path is not None
    sink.path.unlink()
    if how == "replaced":
        sink.path.touch()

    with pytest.raises(OSError):  # noqa: PT011 - any kind
        sink.write([b"x\n"], durable=durable)
    sink.close()


@both
def test_g1_a_deleted_file_is_noticed_and_followed_by_a_new_stream(durability: str, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", durability=durability, keys=KEYS)  # type: ignore[arg-type]  # a parameter
    send = guarded(log)
    send(PHONE, "one")
    (path,) = (tmp_path / "log").iterdir()
    path.unlink()

    def is_back() -> bool:
        try:
            send(PHONE, "two")
        except Unavailable:
            return False
        return bool(list((tmp_path / "log").iterdir()))

    eventually(is_back)
    log.close()

    report = verify_directory(tmp_path / "log")
    assert report.exit_code == 1
    assert any(path.name[-38:-6] in finding for finding in report.completeness)


@both
def test_g1_a_folder_that_cannot_be_written_refuses_sends(durability: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = AuditLog(tmp_path / "file" / "log", durability=durability, keys=KEYS)  # type: ignore[arg-type]  # a parameter
    with pytest.raises(Unavailable) as caught:
        log.open()
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(Unavailable):
        guarded(log)(PHONE, "hello")
    log.close()


def test_g1_a_read_only_folder_refuses_sends(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o500)
    log = AuditLog(tmp_path / "log", keys=KEYS)
    with somebody_else():
        with pytest.raises(Unavailable):
            guarded(log)(PHONE, "hello")
        log.close()
    assert list((tmp_path / "log").iterdir()) == []


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may write anywhere: be nobody meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_full_device_is_an_error_of_the_write(tmp_path: Path) -> None:
    sink = JsonlDirectory(tmp_path)
    sink.open(STREAM)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sink._fd or -1)
    os.close(full)

    with pytest.raises(OSError, match="No space left"):
        sink.write([b"x\n"], durable=True)
    sink.close()


def test_a_relative_folder_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = AuditLog("log", keys=KEYS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    guarded(log)(PHONE, "hello")
    log.close()

    assert verify_directory(tmp_path / "log").exit_code == 0
