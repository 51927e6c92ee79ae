"""
What other logs that promise tamper evidence, or no loss, were found to miss. Each has its test here.

Sources: tried out: cloakllm 0.12.7, auditchain 0.3.0. Reported: systemd CVE-2023-31438 and 31439, issues 15425 and 17833;
hashicorp/vault issues 5361, 31718, 18943 and 28136; Python's logging.FileHandler, which swallows errors of a full disk.
"""

from __future__ import annotations

import os
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from guardrails import Unavailable
from guardrails.audit import AuditLog, DirectoryAnchor, JsonlDirectory, read_records, verify_directory
from guardrails.audit.note import signed_checkpoint
from guardrails.core.guard import Guard
from tests.audit.sinks import KEYS, PHONE, GatedSink, MemorySink, eventually, guarded
from tests.audit.tampering import _relinked, _signed
from tests.audit.test_anchors import new_signer, trusted, written

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="open files and devices")


def codes(report: Any) -> set[str]:
    return {one.code for name in ("integrity", "authenticity", "completeness") for one in getattr(report, name)}


# -- cloakllm


def test_a_tail_that_was_cut_is_not_valid(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer, sends=10)
    (path,) = (tmp_path / "log").iterdir()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:12]))

    assert verify_directory(tmp_path / "log").exit_code == 3  # without an anchor: open, which is not "valid"
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert codes(report) == {"cut-short"}


def test_a_log_that_was_deleted_and_written_anew_is_not_valid(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer)
    for path in (tmp_path / "log").iterdir():
        path.unlink()
    log = AuditLog(tmp_path / "log", keys=KEYS)
    guarded(log)(PHONE, "nothing happened")
    log.close()

    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert codes(report) == {"stream-missing"}


def test_two_honest_writers_are_valid(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path, keys=KEYS) for _ in range(2)]
    for number in range(20):
        guarded(logs[number % 2])(PHONE, str(number))
    for log in logs:
        log.close()

    assert verify_directory(tmp_path).exit_code == 0


def test_g3_no_plain_hash_of_a_number_or_a_text_is_stored(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, keys=KEYS)
    guarded(log)(PHONE, "Your code is 123456")
    log.close()

    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for text in (PHONE, PHONE[1:], "Your code is 123456", "123456"):
        assert sha256(text.encode()).hexdigest().encode() not in raw


def test_g1_records_are_synced_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    log = AuditLog(tmp_path, keys=KEYS)
    guarded(log)(PHONE, "hello")
    log.close()
    assert len(synced) >= 2


# -- auditchain


def test_what_a_record_says_of_keys_is_inside_what_is_hashed(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, keys=KEYS)
    guarded(log)(PHONE, "hello")
    log.close()
    (path,) = tmp_path.iterdir()
    digest = next(one for one in read_records(tmp_path) if one["stage"] == "intent")["recipients"][0]["digest"]
    key_id = digest.split(":")[1].encode()
    path.write_bytes(path.read_bytes().replace(key_id, key_id[::-1]))
    assert "chain-broken" in codes(verify_directory(tmp_path))


# -- journald


def test_nothing_can_be_cut_and_continued(tmp_path: Path) -> None:
    """CVE-2023-31438: cut at a seal, and gone on with."""
    signer = new_signer(tmp_path)
    written(tmp_path, signer, sends=10, every=4)
    (path,) = (tmp_path / "log").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    notes = sorted((tmp_path / "anchor").iterdir())
    kept = int(notes[1].name[33:49])
    path.write_bytes(b"".join(_relinked([*lines[:kept], *lines[-4:]])))

    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert report.exit_code == 1


def test_nothing_can_be_sealed_again_with_a_newer_checkpoint(tmp_path: Path) -> None:
    """CVE-2023-31439: whoever gets the key later signs another past. What was anchored before contradicts it."""
    signer = new_signer(tmp_path)
    written(tmp_path, signer, sends=10, every=4)
    (path,) = (tmp_path / "log").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"stage":"outcome"' in line)
    lines[at] = lines[at].replace(b'"result":"sent"', b'"result":"failed"')
    lines = _relinked(lines)
    path.write_bytes(b"".join(lines))
    stream = path.name[-38:-6]
    # The thief can add to the anchor, and not change what is there.
    later = tmp_path / "anchor" / f"{stream}-{len(lines) + 1:016}.note"
    later.write_bytes(_signed(stream, [*lines, lines[-1]], len(lines) + 1, signer))

    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert "rewritten" in codes(report)


def test_what_is_under_no_seal_is_counted_and_never_ok(tmp_path: Path) -> None:
    """Issue 15425: a file without seals was verified as good."""
    signer = new_signer(tmp_path)
    log = AuditLog(tmp_path / "log", keys=KEYS, signer=signer, anchors=[DirectoryAnchor(tmp_path / "anchor")])
    guarded(log)(PHONE, "hello")
    eventually(lambda: len(list(read_records(tmp_path / "log"))) == 3)
    trust = trusted(tmp_path, signer)
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trust)
    assert (report.exit_code, [one.unanchored for one in report.streams]) == (3, [2])
    log.close()

    other = AuditLog(tmp_path / "log", keys=KEYS)
    guarded(other)(PHONE, "hello")
    other.close()
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trust)
    assert report.exit_code == 3
    assert sum(one.unanchored or 0 for one in report.streams) == 4


def test_a_note_about_another_stream_of_the_same_key_does_not_count(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer)
    stray = signed_checkpoint("f" * 32, 3, b"r" * 32, signer)
    (tmp_path / "anchor" / f"{'f' * 32}-{3:016}.note").write_bytes(stray)
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert codes(report) == {"stream-missing"}


# -- Vault


def test_g1_a_device_that_hangs_does_not_block_those_that_work(tmp_path: Path) -> None:
    """Issue 5361."""
    hung = GatedSink()
    log = AuditLog([tmp_path, hung], keys=KEYS, required=[tmp_path])
    send = guarded(log)
    send(PHONE, "one")
    hung.gate.clear()
    began = time.monotonic()
    send(PHONE, "two")
    assert time.monotonic() - began < 1.5
    hung.gate.set()
    log.close()


def test_g1_a_file_deleted_under_its_writer_does_not_go_unnoticed(tmp_path: Path) -> None:
    """Issue 31718."""
    log = AuditLog(tmp_path, keys=KEYS)
    send = guarded(log)
    send(PHONE, "one")
    (path,) = tmp_path.iterdir()
    path.unlink()

    def is_noticed() -> bool:
        try:
            send(PHONE, "two")
        except Unavailable:
            return False
        return bool(list(tmp_path.iterdir()))

    eventually(is_noticed)
    log.close()
    assert "stream-missing" in codes(verify_directory(tmp_path))


def test_g1_a_full_disk_refuses_at_once_instead_of_stalling(tmp_path: Path) -> None:
    """Issue 18943; and Python's FileHandler, which goes on as if nothing had happened."""

    class FullDirectory(JsonlDirectory):
        def open(self, stream: str, /) -> None:
            super().open(stream)
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, self._fd or -1)
            os.close(full)

    log = AuditLog(FullDirectory(tmp_path), keys=KEYS)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        guarded(log)(PHONE, "hello")
    assert time.monotonic() - began < 1.5
    log.close()


def test_no_message_is_too_long_to_be_recorded() -> None:
    """Issue 28136: a long entry failed the request."""
    sink = MemorySink()
    log = AuditLog(sink, keys=KEYS, level="masked")
    many = [f"+1212555{number:04}" for number in range(900)]
    Guard(log, channel="c" * 64)(lambda to, body: len(to) + len(body))(many, "x" * 60_000)
    log.close()
    assert max(len(line) for lines in sink.streams.values() for line in lines) <= 16_385
