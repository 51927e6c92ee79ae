"""
The embedded default: a key file of this user, created on first use.

Two processes that start together end up with the same key: each writes its own temporary file, and only one hard link
can be the first under the final name; the other process then reads the winner's. A file that somebody else could have
read or written is refused, not repaired, because its key may already be known.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError

_PREFIX: Final = b"guardrails-key:1:"  # the format's version
_LENGTH: Final = len(_PREFIX) + 64 + 1  # prefix, 32 bytes in hex, newline
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_log: Final = logging.getLogger("guardrails")
_said: Final[set[str]] = set()


def embedded_path() -> Path:
    """Where the key file lies, or would lie: `$GUARDRAILS_HOME/key`, else the user's state folder."""
    home = os.environ.get("GUARDRAILS_HOME")
    if home:
        return Path(home).expanduser() / "key"
    state = os.environ.get("XDG_STATE_HOME")
    # The XDG base directory specification: a relative path is to be ignored.
    base = Path(state) if state and Path(state).is_absolute() else Path("~/.local/state").expanduser()
    return base / "guardrails" / "key"


def embedded_key() -> bytes:
    """
    The key in the embedded file, which is created when it is missing.

    Raises:
        ConfigError: It cannot be created, is open to others, or holds something else.
    """
    path = embedded_path()
    created = False
    try:
        if not path.exists():
            created = _create(path)
        key = _read(path)
    except OSError as exc:
        # An OSError carries a path and an errno, nothing of the content.
        raise ConfigError(
            f"the key file {path} cannot be used ({exc.strerror}); set GUARDRAILS_KEY, or GUARDRAILS_HOME to a folder of yours"
        ) from None
    if str(path) not in _said:
        _said.add(str(path))
        if created:
            _log.warning("created a key in %s; keep it with your logs' backups, or set GUARDRAILS_KEY", path)
        else:
            _log.info("using the key in %s", path)
    return key


def _create(path: Path) -> bool:
    """Whether this process made the file; False when another one was faster."""
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    temporary = path.with_name(f".key.{os.getpid()}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), _FILE_MODE)
    try:
        try:
            os.fchmod(handle, _FILE_MODE)  # whatever the umask took away
            line = _PREFIX + secrets.token_bytes(32).hex().encode() + b"\n"
            if os.write(handle, line) != len(line):
                raise OSError(0, "short write")
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folder(path.parent)
    return True


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        about = os.fstat(handle)
        line = os.read(handle, _LENGTH + 1) if stat.S_ISREG(about.st_mode) else b""
    finally:
        os.close(handle)
    key = _parsed(line)
    del line
    if about.st_uid != os.geteuid():
        del key
        raise ConfigError(f"the key file {path} belongs to another user; set GUARDRAILS_HOME to a folder of your own")
    if stat.S_IMODE(about.st_mode) & 0o077:
        del key
        raise ConfigError(
            f"the key file {path} can be read or written by others, so its key may be known; "
            "delete it to start with a new key, or run `chmod 600` on it if you are sure"
        )
    if key is None:
        raise ConfigError(f"{path} is not a key file of ours; move it away, or set GUARDRAILS_HOME to another folder")
    return key


def _parsed(line: bytes) -> bytes | None:
    if len(line) != _LENGTH or not line.startswith(_PREFIX) or not line.endswith(b"\n"):
        return None
    try:
        key = bytes.fromhex(line[len(_PREFIX) : -1].decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None
    return key if len(key) == 32 else None  # noqa: PLR2004 - fromhex skips blanks
