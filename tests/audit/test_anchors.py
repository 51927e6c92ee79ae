"""G7: what was anchored cannot be changed, cut, rolled back or dropped unnoticed, whoever holds the log."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guardrails import ConfigError, Unavailable
from guardrails.audit import (
    AuditLog,
    DirectoryAnchor,
    Ed25519Signer,
    JsonlDirectory,
    Report,
    read_records,
    verifier_key,
    verify_directory,
)
from guardrails.audit.merkle import Tree
from guardrails.audit.note import Forged, Trust, signed_checkpoint
from tests.audit.sinks import KEYS, PHONE, eventually, guarded


def new_signer(folder: Path, name: str = "audit.example.com") -> Ed25519Signer:
    pem = folder / f"{name}.pem"
    key = Ed25519PrivateKey.generate()
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Ed25519Signer(pem, name=name)


def trusted(folder: Path, signer: Ed25519Signer) -> Path:
    path = folder / "trust"
    path.write_text(f"# reviewers\n{verifier_key(signer)}\n")
    return path


def written(folder: Path, signer: Ed25519Signer, *, sends: int = 5, streams: int = 1, every: int = 4) -> None:
    for _ in range(streams):
        anchors = [DirectoryAnchor(folder / "anchor")]
        log = AuditLog(folder / "log", keys=KEYS, durability="os", signer=signer, anchors=anchors, checkpoint_every=every)
        send = guarded(log)
        for number in range(sends):
            send(PHONE, f"text {number}")
        log.close()


def recursive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return sha256(b"\x01" + recursive_root(leaves[:split]) + recursive_root(leaves[split:])).digest()


def test_the_root_is_that_of_rfc_6962_for_each_size() -> None:
    tree, leaves = Tree(), list[bytes]()
    for number in range(130):
        assert tree.root() == recursive_root(leaves)
        leaves.append(b"%d" % number)
        tree.add(leaves[-1])


def test_the_root_is_that_of_the_certificate_transparency_vectors() -> None:
    tree = Tree()
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"):
        tree.add(bytes.fromhex(leaf))
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_note_is_held_to_its_signature(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    trust = Trust(trusted(tmp_path, signer))
    note = signed_checkpoint("a" * 32, 7, b"r" * 32, signer)
    assert (trust.checkpoint(note).stream, trust.checkpoint(note).size) == ("a" * 32, 7)
    for at in range(len(note)):
        changed = note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]
        with pytest.raises(Forged):
            trust.checkpoint(changed)


def test_an_honest_log_holds_up_to_its_last_record(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer, streams=2)
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert report.exit_code == 0, report.lines()
    assert [stream.unanchored for stream in report.streams] == [0, 0]


def test_g7_another_key_is_not_authentic(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer)
    other = tmp_path / "other"
    other.mkdir()
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, new_signer(other)))
    assert report.exit_code == 1
    assert report.authenticity


def test_g7_what_was_cut_or_dropped_is_incomplete(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer, streams=2)
    trust, (first, second) = trusted(tmp_path, signer), sorted((tmp_path / "log").iterdir())
    second.write_bytes(b"".join(second.read_bytes().splitlines(keepends=True)[:3]))
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trust)
    assert (report.exit_code, report.integrity, len(report.completeness)) == (1, (), 1)
    first.unlink()
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trust)
    assert len(report.completeness) == 2


def test_g7_a_stream_that_was_written_anew_is_found(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer)
    (path,) = (tmp_path / "log").iterdir()
    lines, prev = path.read_bytes().splitlines(), "0" * 64
    with path.open("wb") as file:
        for line in lines:
            forged = line.replace(b'"result":"sent"', b'"result":"unknown"')
            at = forged.index(b'"prev":"') + 8
            forged = forged[:at] + prev.encode() + forged[at + 64 :]
            prev = sha256(forged).hexdigest()
            file.write(forged + b"\n")
    assert verify_directory(tmp_path / "log").exit_code == 0  # nothing but the anchor can know
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert report.exit_code == 1
    assert any("anchored" in finding for finding in report.integrity)


def test_g1_nothing_is_sent_before_its_stream_is_anchored(tmp_path: Path) -> None:
    class Broken:
        def keep(self, _stream: str, _size: int, _note: bytes, /) -> None:
            raise OSError("no witness")

    sent: list[tuple[str, str]] = []
    log = AuditLog(tmp_path / "log", keys=KEYS, deadline_seconds=0.2, signer=new_signer(tmp_path), anchors=[Broken()])
    with pytest.raises(Unavailable):
        guarded(log, send=lambda *message: sent.append(message))(PHONE, "text")
    assert sent == []
    log.close()


class Witness:
    """Keeps notes in a folder, fails while it is `broken`, and hangs while its gate is closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = DirectoryAnchor(folder)
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        self.entered.set()
        assert self.gate.wait(15)
        if self.broken:
            raise OSError("no witness")
        self.folder.keep(stream, size, note)


def watched(tmp_path: Path, grace_seconds: float, durability: Any = "fsync") -> tuple[AuditLog, Witness, Ed25519Signer]:
    signer, witness = new_signer(tmp_path), Witness(tmp_path / "anchor")
    log = AuditLog(
        tmp_path / "log",
        keys=KEYS,
        durability=durability,
        signer=signer,
        anchors=[witness],
        checkpoint_every=2,
        anchor_grace_seconds=grace_seconds,
    )
    return log, witness, signer


def verified(tmp_path: Path, signer: Ed25519Signer) -> Report:
    return verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_sends_go_on_for_the_grace_when_an_anchor_fails_and_the_record_says_so(tmp_path: Path, durability: Any) -> None:
    log, witness, signer = watched(tmp_path, 60.0, durability)
    send = guarded(log)
    send(PHONE, "one")
    witness.broken = True
    eventually(lambda: send(PHONE, "more") == "sent" and int(log.health()["anchor_behind_seconds"] or 0) >= 1)
    assert "problem" not in log.health()
    kept = len(list((tmp_path / "anchor").iterdir()))
    witness.broken = False
    eventually(lambda: send(PHONE, "more") == "sent" and len(list((tmp_path / "anchor").iterdir())) > kept)
    send(PHONE, "last")
    log.close()

    report = verified(tmp_path, signer)
    assert report.exit_code == 0, report.lines()
    assert len(report.streams) == 1
    said = [one["facts"]["state"] for one in read_records(tmp_path / "log") if one.get("change") == "anchor"]
    assert said == ["behind", "kept"]


def test_g7_sends_stop_when_no_checkpoint_was_kept_for_the_grace_and_go_on_in_the_same_stream(tmp_path: Path) -> None:
    log, witness, signer = watched(tmp_path, 0.1)
    sent: list[str] = []
    send = guarded(log, send=lambda _to, body: sent.append(body))
    send(PHONE, "one")
    witness.broken = True

    def is_refused() -> bool:
        try:
            send(PHONE, "two")
        except Unavailable as error:
            return error.sent is False and "not anchored" in str(error)
        return False

    eventually(is_refused)
    count = len(sent)
    assert is_refused()
    assert len(sent) == count
    assert "not anchored" in str(log.health()["problem"])
    witness.broken = False
    eventually(lambda: not is_refused())
    log.close()

    report = verified(tmp_path, signer)
    assert (report.exit_code, len(report.streams)) == (0, 1), report.lines()


def test_an_anchor_that_raises_what_is_no_exception_is_tried_again(tmp_path: Path) -> None:
    class Stopped(BaseException):
        """Such as the panic of a library that is not written in Python."""

    log, witness, signer = watched(tmp_path, grace_seconds=60.0)
    send = guarded(log)
    send(PHONE, "one")
    refused: list[int] = []

    class Panicking(DirectoryAnchor):
        def keep(self, stream: str, size: int, note: bytes, /) -> None:
            if not refused:
                refused.append(size)
                raise Stopped
            super().keep(stream, size, note)

    witness.folder = Panicking(tmp_path / "anchor")
    send(PHONE, "two")
    eventually(lambda: bool(refused) and log.health()["anchor_behind_seconds"] == 0 and log.health()["queued"] == 0)
    log.close()
    report = verified(tmp_path, signer)
    assert report.exit_code == 0, report.lines()


def test_an_anchor_that_hangs_holds_up_neither_sends_nor_the_end(tmp_path: Path) -> None:
    log, witness, signer = watched(tmp_path, 60.0)
    send = guarded(log)
    send(PHONE, "one")
    eventually(lambda: log.health()["anchor_behind_seconds"] == 0 and log.health()["queued"] == 0)
    witness.gate.clear()
    witness.entered.clear()
    began = time.monotonic()
    for _ in range(20):
        send(PHONE, "more")
    assert witness.entered.wait(10)
    assert time.monotonic() - began < 1.0
    log.close()
    witness.gate.set()

    report = verified(tmp_path, signer)
    assert report.exit_code == 3, report.lines()  # its end is under no checkpoint, and verify says so
    assert not report.integrity + report.authenticity + report.completeness


def test_a_full_stream_stays_open_while_an_anchor_hangs(tmp_path: Path) -> None:
    signer, witness = new_signer(tmp_path), Witness(tmp_path / "anchor")
    sink = JsonlDirectory(tmp_path / "log", rotate_bytes=4_000)
    log = AuditLog(sink, keys=KEYS, signer=signer, anchors=[witness], checkpoint_every=2, deadline_seconds=15)
    send = guarded(log)
    send(PHONE, "one")
    eventually(lambda: log.health()["anchor_behind_seconds"] == 0 and log.health()["queued"] == 0)
    witness.gate.clear()
    for _ in range(20):
        send(PHONE, "more")
    assert len(list((tmp_path / "log").iterdir())) == 1
    witness.gate.set()
    eventually(lambda: send(PHONE, "more") == "sent" and len(list((tmp_path / "log").iterdir())) > 1)
    log.close()

    report = verified(tmp_path, signer)
    assert report.exit_code == 0, report.lines()


def test_g1_without_grace_the_log_waits_for_its_anchors(tmp_path: Path) -> None:
    log, witness, _ = watched(tmp_path, 0.0)
    sent: list[str] = []
    send = guarded(log, send=lambda _to, body: sent.append(body))
    send(PHONE, "one")
    witness.broken = True
    with pytest.raises(Unavailable):
        send(PHONE, "two")

    assert sent == ["one"]
    witness.broken = False
    log.close()


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), True, "1"])
def test_a_grace_of_no_use_is_refused(tmp_path: Path, seconds: Any) -> None:
    with pytest.raises(ConfigError, match="anchor_grace_seconds"):
        AuditLog(tmp_path / "log", keys=KEYS, anchor_grace_seconds=seconds)


def test_an_anchor_without_signer_and_a_signer_without_anchor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="together"):
        AuditLog(tmp_path / "log", keys=KEYS, anchors=[DirectoryAnchor(tmp_path / "anchor")])
    with pytest.raises(ConfigError, match="together"):
        AuditLog(tmp_path / "log", keys=KEYS, signer=new_signer(tmp_path))


def test_an_anchor_inside_the_audit_folder_is_refused(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    for place in (tmp_path / "log", tmp_path / "log" / "anchor"):
        with pytest.raises(ConfigError, match="inside the audit folder"):
            AuditLog(tmp_path / "log", keys=KEYS, signer=signer, anchors=[DirectoryAnchor(place)])


def test_an_anchor_needs_keys_to_trust_and_a_missing_one_is_named(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    written(tmp_path, signer)
    assert verify_directory(tmp_path / "log", anchor=tmp_path / "anchor").exit_code == 2
    shutil.rmtree(tmp_path / "anchor")
    report = verify_directory(tmp_path / "log", anchor=tmp_path / "anchor", trust=trusted(tmp_path, signer))
    assert report.exit_code == 2


def test_no_secret_is_in_the_repr_of_a_signer(tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    assert repr(signer) == "Ed25519Signer(name='audit.example.com')"
    assert base64.b64decode(verifier_key(signer).split("+", 2)[2])[1:] == signer.public_key
