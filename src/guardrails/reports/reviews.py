"""
That somebody looked into a log is itself on record: who, when, at which log, with which command and filters.

Rules. The record is durable before the answer is shown; if it cannot be written, there is no answer. All commands of one
user write to one chain of records (`*.jsonl`, verified like any other log), one after another. What was asked is recorded,
but nothing that could be somebody's address: a value that is no plain id is recorded as given, without saying what. Whoever
looks at the reviews is recorded there too.
"""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from guardrails import __version__
from guardrails.audit.folder import make_folder, sync_folder
from guardrails.audit.reading import source
from guardrails.audit.report import printable
from guardrails.audit.stages import FIRST_PREV, SCHEMA_VERSION
from guardrails.errors import ConfigError
from guardrails.keys.file import embedded_path
from guardrails.reports.source import record_of

_LARGEST_BYTES: Final = 16_777_216  # then a new stream
_CHARACTERS: Final = 64
_FACTS: Final = 16
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,63}", re.ASCII)
_MANY_DIGITS: Final = re.compile(r"(?:\d[-._:]?){7}", re.ASCII)  # might be a number of a person
_DIGEST: Final = re.compile(r"(?:[a-z0-9-]+:)*[A-Za-z0-9_-]{32,}", re.ASCII)
_TIME: Final = re.compile(r"[0-9T:.Z-]{10,27}", re.ASCII)
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\d{4,}")


def record_review(
    folder: str | os.PathLike[str],
    command: str,
    asked: Mapping[str, str | int | bool],
    reviews: str | os.PathLike[str] | None = None,
) -> None:
    """
    Put on record that a log is looked into.

    Args:
        folder: The log.
        command: Such as "query".
        asked: Filters and options; SQL under the name `sql`, whose literals are left out.
        reviews: Where; None: `reviews` beside the key of this machine.

    Raises:
        ConfigError: It cannot be written, or would be written into the log itself.
    """
    where = embedded_path().with_name("reviews") if reviews is None else Path(reviews)
    log = Path(folder).resolve()
    looks_at_itself = reviews is None and where.resolve() == log
    if not looks_at_itself and (where.resolve() == log or log in where.resolve().parents):
        raise ConfigError("that you looked must not be recorded in the log itself: name another folder with --reviews DIR")
    facts = {"log": printable(log.name)[:_CHARACTERS]} | {name: _fact(name, value) for name, value in asked.items()}
    review = {"stage": "review", "command": command, "user": _user(), "asked": dict(list(facts.items())[:_FACTS])}
    try:
        with _locked(where):
            _append(where, review)
    except OSError as error:
        raise ConfigError(
            f"that you looked could not be recorded ({type(error).__name__}), so there is no answer: "
            "name a folder that you can write with --reviews DIR"
        ) from None


def _append(where: Path, review: dict[str, Any]) -> None:
    path, last = _newest(where)
    lines = []
    if path is None:
        stream = secrets.token_hex(16)
        path = where / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{stream}.jsonl"
        genesis = {
            "stage": "genesis",
            "why": "start",
            "host": printable(platform.node())[:_CHARACTERS],
            "pid": os.getpid(),
            "library": __version__,
            "config": {"name": "reviews"},
        }
        lines.append(_line(genesis, stream, 0, FIRST_PREV))
    else:
        stream = path.stem.rpartition("-")[2]
    prev = sha256((lines[-1] if lines else last)[:-1]).hexdigest()
    before = record_of(lines[-1] if lines else last) or {}
    lines.append(_line(review, stream, int(before.get("seq", 0)) + 1, prev))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        data = b"".join(lines)
        if os.write(descriptor, data) != len(data):
            raise OSError("short write")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if len(lines) > 1:
        sync_folder(where)


def _newest(where: Path) -> tuple[Path | None, bytes]:
    """The stream to go on with, and its last line; None when a new one has to begin."""
    path = max(where.glob("*.jsonl"), default=None)
    if path is None:
        return None, b""
    with source(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 65_536))
        lines = file.read().splitlines(keepends=True)
    last = lines[-1] if lines else b""
    # A torn line, something else, or a long file: it is left as it is.
    if size > _LARGEST_BYTES or record_of(last) is None:
        return None, b""
    return path, last


def _line(record: Mapping[str, Any], stream: str, seq: int, prev: str) -> bytes:
    linked = {
        "schema_version": SCHEMA_VERSION,
        "stream": stream,
        "seq": seq,
        "prev": prev,
        "event_id": secrets.token_hex(16),
        "ts": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        "durability": "fsync",
    }
    return json.dumps({**record, **linked}, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


@contextmanager
def _locked(where: Path) -> Iterator[None]:
    make_folder(where)
    if sys.platform == "win32":  # a lock is not to be had there: commands at the same moment may begin streams of their own
        yield
        return
    import fcntl  # noqa: PLC0415 - not everywhere

    descriptor = os.open(where, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _fact(name: str, value: str | int | bool) -> str | int | bool:  # noqa: FBT001 - a value, not an option
    if not isinstance(value, str):
        return value
    if name == "sql":
        value = printable(" ".join(_LITERAL.sub("?", value).split()))
        return value if len(value) <= _CHARACTERS else f"{value[: _CHARACTERS - 2]}.."
    if name in {"since", "until"} and _TIME.fullmatch(value):
        return value
    plain = _PLAIN.fullmatch(value) and not _MANY_DIGITS.search(value)
    return value[:_CHARACTERS] if plain or _DIGEST.fullmatch(value) else "(given)"


def _user() -> str:
    try:
        return printable(getpass.getuser())[:_CHARACTERS]
    except (OSError, KeyError, ImportError):  # no such user, on systems without names
        return "unknown"
