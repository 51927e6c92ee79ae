"""
That one record is in the log, for somebody who has nothing but a checkpoint.

Source: C2SP tlog-proof: the index, the hashes from the leaf to the root, and the checkpoint. The record itself is the extra data.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from pathlib import Path
from typing import Any, Final

from guardrails.audit.folder import stream_of
from guardrails.audit.merkle import inclusion, leaf_hash, root_from
from guardrails.audit.note import Checkpoint, Forged, Trust
from guardrails.audit.notes import read_notes
from guardrails.audit.reading import Malformed, files, lines, parse
from guardrails.errors import ConfigError

_MAGIC: Final = b"c2sp.org/tlog-proof@v1"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_SIZE: Final = re.compile(r"([0-9a-f]{32})-([0-9]{16})\.note")
_HASH: Final = re.compile(rb"[A-Za-z0-9+/]{43}=")
_INDEX: Final = re.compile(rb"index (0|[1-9][0-9]{0,15})")
_PROOF_BYTES: Final = 2_097_152


class WrongProofError(ValueError):
    """A proof proves nothing; the message says why."""


def prove(folder: str | os.PathLike[str], wanted: str, *, anchor: str | os.PathLike[str]) -> bytes:
    """
    The proof that a record is in the log, under the first checkpoint that covers it.

    Args:
        folder: As given to `AuditLog`.
        wanted: The `event_id` of a record, or the `send_id` of an intent.
        anchor: Where checkpoints are kept, as for `verify_directory`.

    Raises:
        ConfigError: There is no such record, or no checkpoint covers it.
        OSError: The folder or the anchor cannot be read.
    """
    if not _ID.fullmatch(wanted):
        raise ConfigError("an id is 32 hex digits: the event_id of a record, or the send_id of a send")
    path, index = _place_of(folder, wanted)
    size, note = _covering(anchor, stream_of(path.name), index)
    hashes, record = [], b""
    for number, line in enumerate(lines(path)):
        if number == size:
            break
        hashes.append(leaf_hash(line.removesuffix(b"\n")))
        if number == index:
            record = line.removesuffix(b"\n")
    if len(hashes) < size:
        raise ConfigError("the stream holds less than was anchored: verify it first")
    path_of_hashes = [base64.b64encode(one) for one in inclusion(hashes, index)]
    return b"\n".join([_MAGIC, b"extra " + base64.b64encode(record), b"index %d" % index, *path_of_hashes, b"", note])


def check_proof(proof: bytes, trust: Trust, *, checkpoint: bytes | None = None) -> dict[str, Any]:
    """
    The record that *proof* proves.

    Args:
        proof: From `prove`.
        trust: Whose checkpoints count.
        checkpoint: One of your own to hold it against; None takes the one in the proof, whose signature is checked all the same.

    Raises:
        WrongProofError: It proves nothing.
    """
    head, gap, note = proof.partition(b"\n\n")
    magic, *said = head.split(b"\n")
    extra = said.pop(0) if said else b""
    numbered = _INDEX.fullmatch(said.pop(0) if said else b"")
    if (
        magic != _MAGIC
        or not gap
        or not extra.startswith(b"extra ")
        or numbered is None
        or not all(map(_HASH.fullmatch, said))
    ):
        raise WrongProofError("not a proof of ours")
    if checkpoint is not None and checkpoint != note:
        raise WrongProofError("the proof is under another checkpoint than yours")
    try:
        line = base64.b64decode(extra.removeprefix(b"extra "), validate=True)
        claimed: Checkpoint = trust.checkpoint(note)
        record = parse(line)
    except (binascii.Error, Malformed):
        raise WrongProofError("it holds no record") from None
    except Forged as error:
        raise WrongProofError(f"its checkpoint does not count: {error}") from None
    index = int(numbered[1])
    if root_from(line, index, claimed.size, [base64.b64decode(one) for one in said]) != claimed.root:
        raise WrongProofError("the record is not under the checkpoint")
    if (record.get("stream"), record.get("seq")) != (claimed.stream, index):
        raise WrongProofError("the record is of another stream or place")
    return record


def read_proof(path: str | os.PathLike[str]) -> bytes:
    """
    A proof from a file.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(_PROOF_BYTES)
    except OSError as error:
        raise ConfigError(f"the proof cannot be read ({type(error).__name__})") from None


def as_json(record: dict[str, Any]) -> str:
    """A record for a terminal: ASCII, so that nothing in it is obeyed."""
    return json.dumps(record, sort_keys=True, indent=2)


def _place_of(folder: str | os.PathLike[str], wanted: str) -> tuple[Path, int]:
    event, send = f'"event_id":"{wanted}"'.encode(), f'"send_id":"{wanted}"'.encode()
    for path in files(folder):
        for number, line in enumerate(lines(path)):
            if event in line or (send in line and b'"stage":"intent"' in line):
                try:
                    record = parse(line.removesuffix(b"\n"))
                except Malformed:
                    continue
                if record.get("event_id") == wanted or (
                    record.get("send_id") == wanted and record.get("stage") == "intent"
                ):
                    return path, number
    raise ConfigError("no record has this event_id, and no intent this send_id")


def _covering(anchor: str | os.PathLike[str], stream: str, index: int) -> tuple[int, bytes]:
    found: tuple[int, bytes] | None = None
    for name, note in read_notes(anchor):
        match = _SIZE.fullmatch(name)
        if (
            match is not None
            and match[1] == stream
            and int(match[2]) > index
            and (found is None or int(match[2]) < found[0])
        ):
            found = int(match[2]), note
    if found is None:
        raise ConfigError("no checkpoint covers this record yet")
    return found
