"""
What happens to closed streams, in the background: they are compressed, and prepared for their removal.

Rules. Only one process tidies a folder at a time. A compressed file is complete and on stable storage before the plain one
is removed. A stream is removed only after its tombstone is on record, and never before its time: what its last record says,
and what the file system says, must both be old enough.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from guardrails.audit.folder import COMPRESSED, SUFFIX, log_files, stream_of, sync_folder
from guardrails.audit.found import Expired
from guardrails.audit.locks import lock
from guardrails.audit.merkle import Tree
from guardrails.audit.reading import Malformed, lines, opened, parse

_DAY_SECONDS: Final = 86_400
_AT_ONCE: Final = 64  # tombstones in one write
_log: Final = logging.getLogger("guardrails.audit")


class Housekeeping:
    """
    Tidies one folder, in a thread that ends when it is done.

    Args:
        compress: Whether closed streams are compressed.
        retain_days: How long streams are kept after their last record; None for ever.
    """

    __slots__ = ("_compress", "_expired", "_thread", "retain_days")

    def __init__(self, *, compress: bool, retain_days: int | None) -> None:
        self._compress = compress
        self.retain_days: int | None = retain_days
        self._expired: deque[Expired] = deque()  # filled by the thread, emptied by the writer
        self._thread: threading.Thread | None = None

    def start(self, folder: Path) -> None:
        """Tidy *folder*, unless that is going on already."""
        if not self._compress and self.retain_days is None:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=self._run, args=(folder,), name="guardrails-audit-tidy", daemon=True)
        with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
            self._thread.start()

    def expired(self) -> Sequence[Expired]:
        """Streams to remove, each told once."""
        return [self._expired.popleft() for _ in range(min(_AT_ONCE, len(self._expired)))]

    def remove(self, folder: Path, streams: Iterable[Expired]) -> None:
        """
        Remove the files of *streams*.

        Raises:
            OSError: One cannot be removed; all others are.
        """
        ids = {one.stream for one in streams if not one.carried}
        failed: OSError | None = None
        for path in folder.iterdir():
            if path.name.endswith((SUFFIX, COMPRESSED)) and stream_of(path.name) in ids:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    failed = error
        sync_folder(folder)
        if failed is not None:
            raise failed

    def wait(self) -> None:
        """Until it is done; for tests and tools."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, folder: Path) -> None:
        try:
            fd = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        except OSError:
            return
        try:
            if lock(fd):
                self._tidy(folder)
        except Exception as error:  # noqa: BLE001 - nothing is lost: it is tried again when the next stream begins
            _log.warning("tidying the audit folder failed (%s); it is tried again later", type(error).__name__)
        finally:
            os.close(fd)

    def _tidy(self, folder: Path) -> None:
        if self.retain_days is not None:
            self._expired.extend(self._due(folder, self.retain_days))
        if self._compress:
            for path in log_files(folder):
                with _left_alone(path):
                    if path.name.endswith(SUFFIX) and _is_closed(path):
                        _compressed(path)

    def _due(self, folder: Path, days: int) -> list[Expired]:
        before = time.time_ns() / 1e9 - days * _DAY_SECONDS
        due: list[Expired] = []
        for path in log_files(folder):
            with _left_alone(path):
                if path.stat().st_mtime < before and not _is_written(path):
                    due += _expiring(path, before, days)
        return due


@contextlib.contextmanager
def _left_alone(path: Path) -> Iterator[None]:
    """What cannot be read stays as it is, and the others have their turn."""
    try:
        yield
    except FileNotFoundError:  # another process was faster
        return
    except OSError as error:
        _log.warning("%s cannot be tidied (%s)", ascii(path.name), type(error).__name__)


def _expiring(path: Path, before: float, days: int) -> list[Expired]:
    """The stream, if its last record is old enough, and the tombstones in it, which must outlive it."""
    tree, last, carried = Tree(), b"", list[Expired]()
    for line in lines(path):
        if line.endswith(b"\n"):
            last = line[:-1]
            tree.add(last)
            if b'"stage":"tombstone"' in last:
                carried.append(_told(parse(last)))
    try:
        ended = str(parse(last)["ts"])
        moment = datetime.strptime(ended, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
    except (Malformed, KeyError, ValueError):  # not ours to judge: it stays, and the verifier names it
        return []
    if moment >= before:
        return []
    own = Expired(
        stream=stream_of(path.name),
        records=tree.size,
        head=sha256(last).hexdigest(),
        root=tree.root().hex(),
        ended=ended,
        retain_days=days,
    )
    return [own, *carried]


def _told(tombstone: dict[str, object]) -> Expired:
    return Expired(
        stream=str(tombstone["expired_stream"]),
        records=int(str(tombstone["records"])),
        head=str(tombstone["head"]),
        root=str(tombstone["root"]),
        ended=str(tombstone["ended"]),
        retain_days=int(str(tombstone["retain_days"])),
        carried=True,
    )


def _is_written(path: Path) -> bool:
    """Whether a living process has the file."""
    with opened(path) as file:
        return not lock(file.fileno(), shared=True)


def _is_closed(path: Path) -> bool:
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4_096))
        return b'"stage":"close"' in file.read().rstrip(b"\n").rpartition(b"\n")[2] and not _is_written(path)


def _compressed(path: Path) -> None:
    """Replace *path* by its compressed twin."""
    twin = path.with_name(path.name + ".gz")
    part = path.with_name(path.name + ".gz.part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(fd, "wb") as raw, opened(path) as source:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            shutil.copyfileobj(source, packed, 1_048_576)
        raw.flush()
        os.fsync(raw.fileno())
        status = path.stat()
    os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))  # its age is that of the records
    part.replace(twin)
    sync_folder(path.parent)
    path.unlink()
    sync_folder(path.parent)
