"""
Secrets that can be destroyed: one random value for each tenant and epoch, mixed into the keys of the audit log's digests.

Whoever has the master key still cannot say whose a digest is once its secret is gone; the log's chain does not change by that.
Each secret is a file of its own, for its owner only, created once and never rewritten. Keep the folder away from the log, and
out of backups that outlive what must be forgotten.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from guardrails.errors import ConfigError

ENVIRONMENT: Final = "GUARDRAILS_EPOCHS"
_BYTES: Final = 32
_DAY_NANOSECONDS: Final = 86_400 * 10**9
_FILE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.salt")


class Salt(NamedTuple):
    """The secret of one tenant and epoch."""

    epoch: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Salt(epoch={self.epoch!r})"


class Epochs:
    """
    Keeps the secrets in a folder.

    Args:
        folder: Created with mode 0700 at first use; never the audit folder.
        days: Length of an epoch. An epoch is named by its first day (UTC), counted from 1970-01-01.

    Raises:
        ConfigError: The length is no number of days.
    """

    __slots__ = ("_days", "_known", "folder")

    def __init__(self, folder: str | os.PathLike[str], *, days: int = 30) -> None:
        if type(days) is not int or not 1 <= days <= 36_500:  # noqa: PLR2004 - a hundred years
            raise ConfigError("Epochs(days=...) must be an int from 1 to 36,500")
        self.folder: Path = Path(folder).absolute()
        self._days = days
        self._known: dict[tuple[str | None, str], Salt] = {}

    def now(self) -> str:
        """The epoch that it is."""
        day = time.time_ns() // _DAY_NANOSECONDS
        return str(date(1970, 1, 1) + timedelta(days=day - day % self._days))

    def current(self, tenant: str | None) -> Salt:
        """
        The secret for now, made if there is none yet.

        Raises:
            ConfigError: The folder cannot be used.
        """
        epoch = self.now()
        known = self._known.get((tenant, epoch))
        return known or self._known.setdefault((tenant, epoch), Salt(epoch, self._made(tenant, epoch)))

    def all(self, tenant: str | None) -> tuple[Salt, ...]:
        """
        Every secret that is still there, newest first.

        Raises:
            ConfigError: The folder cannot be used.
        """
        return tuple(
            Salt(epoch, secret) for epoch in reversed(self._epochs(tenant)) if (secret := self._read(tenant, epoch))
        )

    def destroy(self, tenant: str | None, epoch: str | None = None) -> int:
        """
        Destroy the secret of one epoch, or of all; how many there were.

        Digests made with it can no longer be told apart from noise. Processes that run keep theirs until they end.

        Raises:
            ConfigError: The folder cannot be used.
        """
        gone = [one for one in self._epochs(tenant) if epoch is None or one == epoch]
        folder = self._folder_of(tenant)
        try:
            for one in gone:
                path = folder / f"{one}.salt"
                with path.open("r+b") as file:  # where a file system keeps old blocks, it keeps zeros
                    file.write(bytes(_BYTES * 2))
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
            if gone:
                _sync(folder)
        except OSError as error:
            raise ConfigError(f"an epoch's secret cannot be destroyed ({type(error).__name__})") from None
        self._known.clear()
        return len(gone)

    def _folder_of(self, tenant: str | None) -> Path:
        name = "none" if tenant is None else sha256(b"t" + tenant.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self.folder / name

    def _epochs(self, tenant: str | None) -> list[str]:
        try:
            names = sorted(path.name for path in self._folder_of(tenant).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"the folder of epochs cannot be read ({type(error).__name__})") from None
        return [found[1] for name in names if (found := _FILE.fullmatch(name))]

    def _read(self, tenant: str | None, epoch: str) -> bytes | None:
        try:
            text = (self._folder_of(tenant) / f"{epoch}.salt").read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"an epoch's secret cannot be read ({type(error).__name__})") from None
        try:
            secret = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            secret = b""
        del text
        if len(secret) != _BYTES or not any(secret):
            raise ConfigError(f"the secret of epoch {epoch} is damaged; move its file away if it was destroyed half-way")
        return secret

    def _made(self, tenant: str | None, epoch: str) -> bytes:
        known = self._read(tenant, epoch)
        if known is not None:
            return known
        folder = self._folder_of(tenant)
        temporary = folder / f".{epoch}.{os.getpid()}.{secrets.token_hex(8)}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                os.write(handle, secrets.token_bytes(_BYTES).hex().encode("ascii"))
                os.fsync(handle)
            finally:
                os.close(handle)
            with suppress(FileExistsError):  # another process was faster: its secret counts
                os.link(temporary, folder / f"{epoch}.salt")
            temporary.unlink()
            _sync(folder)
        except OSError as error:
            raise ConfigError(f"an epoch's secret cannot be kept ({type(error).__name__})") from None
        made = self._read(tenant, epoch)
        if made is None:
            raise ConfigError("an epoch's secret was destroyed while it was made; try again")
        return made

    def __repr__(self) -> str:
        return f"Epochs({str(self.folder)!r}, days={self._days})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Epochs hold secrets and cannot be copied or pickled; make them where they are used")


def epochs_from_environment() -> Epochs | None:
    """Those that `GUARDRAILS_EPOCHS` names, perhaps with their length: `FOLDER` or `FOLDER:DAYS`."""
    said = os.environ.get(ENVIRONMENT, "")
    folder, colon, days = said.rpartition(":")
    if colon and days.isascii() and days.isdigit():
        return Epochs(folder, days=int(days))
    return Epochs(said) if said else None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
