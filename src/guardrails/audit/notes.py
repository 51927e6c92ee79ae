"""Reading checkpoints back, from wherever they are kept. Nothing here trusts what it reads."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

NOTE_SUFFIX: Final = ".note"
SYSLOG_MARK: Final = "guardrails-checkpoint"
_NOTE_BYTES: Final = 16_384
_LINE_BYTES: Final = 65_536
_LIST_BYTES: Final = 268_435_456
_SYSLOG: Final = re.compile(rb"guardrails-checkpoint ([0-9a-f]{32}) ([0-9]{1,16}) ([A-Za-z0-9+/=]{1,22000})")
_LISTED: Final = re.compile(r"[0-9a-f]{32}-[0-9]{16}\.note")
_WITNESS_SECONDS: Final = 10.0


def note_name(stream: str, size: int) -> str:
    """How a checkpoint is named wherever it is kept: by what it is about, so that a later one never replaces it."""
    return f"{stream}-{size:016}{NOTE_SUFFIX}"


def read_notes(place: str | os.PathLike[str]) -> Iterator[tuple[str, bytes]]:
    """
    Name and content of each note.

    Args:
        place: The folder of a `DirectoryAnchor`, a file of syslog lines, or the URL of a witness.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no place at all.
    """
    said = os.fsdecode(place)
    if said.startswith(("http://", "https://")):
        return _from_witness(said)
    path = Path(place)
    if path.is_file():
        return _from_syslog(path)
    # Listed here, not in the generator: whoever asks for a folder that is not there must know.
    return _from_folder(sorted(path.iterdir()))


def _from_folder(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        if path.name.endswith(NOTE_SUFFIX):
            with path.open("rb") as file:
                yield path.name, file.read(_NOTE_BYTES)


def _from_syslog(path: Path) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as file:
        while line := file.readline(_LINE_BYTES):
            found = _SYSLOG.search(line)
            if found is not None and line.endswith(b"\n"):  # else somebody is at it
                try:
                    note = base64.b64decode(found[3], validate=True)
                except (ValueError, binascii.Error):
                    note = b""  # no checkpoint: it will be named as forged
                yield note_name(found[1].decode(), int(found[2])), note


def _from_witness(url: str) -> Iterator[tuple[str, bytes]]:
    from urllib.request import urlopen  # noqa: PLC0415 - only with a witness: nothing else here knows of networks

    base = url.rstrip("/")
    with urlopen(f"{base}/", timeout=_WITNESS_SECONDS) as answer:  # noqa: S310 - http(s) only, see read_notes
        listed = answer.read(_LIST_BYTES).decode("ascii", "replace").split()
    for name in listed:
        if _LISTED.fullmatch(name):
            with urlopen(f"{base}/{name}", timeout=_WITNESS_SECONDS) as answer:  # noqa: S310 - as above
                yield name, answer.read(_NOTE_BYTES)


def can_be_rewritten(place: str | os.PathLike[str], log: str | os.PathLike[str]) -> bool:
    """Whether the user who owns the log may also change what the anchor holds: such an anchor shows accidents only."""
    said = os.fsdecode(place)
    if said.startswith(("http://", "https://")):
        return False
    try:
        anchor, owner = Path(place).stat(), Path(log).stat().st_uid
    except OSError:
        return False
    return anchor.st_uid == owner or bool(anchor.st_mode & 0o002)
