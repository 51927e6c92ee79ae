"""Is this machine fit: key, clock, disk, memory?"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from guardrails.keys import Keys
from guardrails.keys.file import embedded_path
from guardrails.keys.material import ENVIRONMENT
from guardrails.proof.diagnosis import FAIL, OK, SKIP, WARN, Answer

_RELEASED: Final = datetime(2026, 1, 1, tzinfo=UTC)  # no clock that is right shows an earlier time
_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES: Final = 512
LEAST_FREE_BYTES: Final = 100 * 1_048_576
LEAST_FREE_INODES: Final = 1_000
_OTHERS: Final = 0o077
_LOOK_NANOSECONDS: Final = 2_000_000
_STEP_NANOSECONDS: Final = 1_000_000
_MEBIBYTE: Final = 1_048_576


def key() -> Answer:
    """The master key: where it comes from, and who else can read it."""
    keys = Keys.default()
    if ENVIRONMENT in os.environ:
        keys.digester("doctor")  # raises what is wrong with it
        return Answer("key", OK, f"from {ENVIRONMENT}, key id {keys.digester('doctor').key_id}")
    path = embedded_path()
    advice = f"for production set {ENVIRONMENT}: two machines with a key file each cannot join their records"
    if not path.exists():
        return Answer("key", WARN, f"none yet; the first use creates {path}", advice)
    keys.digester("doctor")  # raises when it is open to others, of another user, or something else
    folder = path.parent.stat()
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        return Answer("key", FAIL, f"anybody may replace files in {path.parent}", f"chmod 700 {path.parent}")
    return Answer("key", WARN, f"{path}, mode {stat.S_IMODE(path.stat().st_mode):04o}", advice)


def clock() -> Answer:
    """The wall clock: records carry it, quiet hours and daily caps obey it."""
    now = datetime.now(UTC)
    if now < _RELEASED:
        return Answer("clock", FAIL, f"it is not {now:%Y-%m-%d}", "set the clock; run an NTP client")
    began, monotonic = time.time_ns(), time.monotonic_ns()
    while time.monotonic_ns() - monotonic < _LOOK_NANOSECONDS:
        continue
    drift = abs((time.time_ns() - began) - (time.monotonic_ns() - monotonic))
    if drift > _STEP_NANOSECONDS:
        return Answer("clock", WARN, f"it was set by {drift / 1e6:.1f} ms within 2 ms", "see who else sets the clock")
    match _synchronised():
        case True:
            return Answer("clock", OK, f"{now:%Y-%m-%dT%H:%M:%SZ}, kept by an NTP client")
        case False:
            return Answer(
                "clock",
                WARN,
                f"{now:%Y-%m-%dT%H:%M:%SZ}, and the kernel says that nothing keeps it",
                "run an NTP client: records are compared by time across machines",
            )
        case _:
            return Answer("clock", OK, f"{now:%Y-%m-%dT%H:%M:%SZ}; whether it is kept cannot be told here")


def disk(folder: Path, about: str = "disk") -> Answer:
    """Room below *folder*."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    inodes = os.statvfs(there) if hasattr(os, "statvfs") else None
    if free < LEAST_FREE_BYTES:
        return Answer(
            about, FAIL, f"{free // _MEBIBYTE} MiB are free at {there}", "make room: a full disk refuses every send"
        )
    if inodes is not None and inodes.f_files and inodes.f_favail < LEAST_FREE_INODES:
        return Answer(
            about, FAIL, f"{inodes.f_favail} inodes are free at {there}", "make room: no new stream can be opened"
        )
    return Answer(about, OK, f"{free // _MEBIBYTE} MiB are free at {there}")


def writable(folder: Path, about: str) -> Answer:
    """Whether files can be made and synced in *folder*, which belongs to nobody else."""
    if not folder.exists():
        parent = next(one for one in folder.parents if one.exists())
        try:  # permissions do not say it all: what is read-only, or no real folder, does not take one
            with tempfile.TemporaryDirectory(prefix=".doctor.", dir=parent):
                return Answer(about, OK, f"{folder} is created at the first record")
        except OSError as error:
            found = f"{folder} is not there, and cannot be created in {parent} ({error.strerror})"
            return Answer(about, FAIL, found, _room(error) or f"create it for user {os.geteuid()}, or name another one")
    status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        return Answer(about, FAIL, f"{folder} is not a folder", "name another one")
    probe = folder / f".doctor.{os.getpid()}"
    try:
        handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, b"guardrails doctor\n")
            os.fsync(handle)
        finally:
            os.close(handle)
            probe.unlink()
    except OSError as error:
        return Answer(
            about,
            FAIL,
            f"{folder} cannot be written ({error.strerror})",
            _room(error) or f"give it to user {os.geteuid()}, mode 0700",
        )
    if status.st_mode & _OTHERS:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        return Answer(about, WARN, f"{folder} can be written; its mode {mode} lets others in", f"chmod 700 {folder}")
    return Answer(about, OK, f"{folder} can be written and synced")


def _room(error: OSError) -> str:
    """What to do where there is none; empty for other errors."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "make room, or raise the quota or the limit (`ulimit -f`)" if full else ""


def memory(workers: int) -> Iterator[Answer]:
    """What one process of this kind takes, with all that is loaded now, and what several would."""
    own = _resident_bytes()
    if own is None:
        yield Answer("memory", SKIP, "this system does not say how much a process takes")
        return
    free = _available_bytes()
    needed = own * workers
    found = f"{own // _MEBIBYTE} MiB a process, {needed // _MEBIBYTE} MiB for {workers} workers"
    if free is None:
        yield Answer("memory", OK, found)
    elif needed - own > free:
        yield Answer(
            "memory",
            FAIL,
            f"{found}, and {free // _MEBIBYTE} MiB are available",
            "run fewer workers, or preload before forking",
        )
    else:
        yield Answer("memory", OK, f"{found}; {free // _MEBIBYTE} MiB are available")


def _synchronised() -> bool | None:
    """What the kernel says about its clock; None where it does not."""
    try:
        timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes=0: reads, sets nothing
        state: int = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONISED


def _resident_bytes() -> int | None:
    return _kilobytes(Path("/proc/self/status"), "VmRSS:")


def _available_bytes() -> int | None:
    """What the machine, or the container, still has."""
    free = _kilobytes(Path("/proc/meminfo"), "MemAvailable:")
    try:
        most, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text("ascii")) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or one without a bound ("max")
        return free
    return most - used if free is None else min(free, most - used)


def _kilobytes(path: Path, field: str) -> int | None:
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, UnicodeError):
        return None
    return next((int(line.split()[1]) * 1_024 for line in lines if line.startswith(field)), None)
