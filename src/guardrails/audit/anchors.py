"""The places out of the writer's reach where checkpoints are kept."""

from __future__ import annotations

import base64
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from guardrails.audit.folder import make_folder, sync_folder
from guardrails.audit.notes import SYSLOG_MARK, note_name
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SYSLOG_PRIORITY: Final = 13 * 8 + 5  # facility "log audit", severity "notice"; source: RFC 5424, section 6.2.1
_LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_log: Final = logging.getLogger("guardrails.audit")


@runtime_checkable
class Anchor(Protocol):
    """Keeps checkpoints. A team implements this over whatever it has that the writer cannot overwrite."""

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """
        Keep *note* durably, and for good; returning means kept.

        Raises:
            Exception: Anything: the stream is given up, and nobody sends on the strength of its records.
        """


class DirectoryAnchor:
    """
    One file a checkpoint, never overwritten: `<stream>-<size>.note`.

    Args:
        folder: Best a mount that this process's user may add to but not change; never the audit folder itself. One that
            this user could rewrite is reported: once in the log, and by the verifier.
    """

    __slots__ = ("_said", "folder")

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder: Path = Path(folder).absolute()
        self._said = False

    @property
    def in_reach(self) -> bool:
        """Whether this process's user owns the folder, and so may change what it holds."""
        try:
            status = self.folder.stat()
        except OSError:
            return True  # it will be created by this user
        return os.name != "posix" or status.st_uid == os.geteuid() or bool(status.st_mode & 0o002)

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """Write the note to a file of its own and sync it."""
        make_folder(self.folder)
        if not self._said:
            self._said = True
            if self.in_reach:
                _log.warning("the user who writes the audit log can rewrite its anchor: it shows accidents, not attacks")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(self.folder / note_name(stream, size), flags, 0o600)
        try:
            if os.write(fd, note) != len(note):
                raise OSError("short write")
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self.folder)

    def __repr__(self) -> str:
        return f"DirectoryAnchor({str(self.folder)!r})"


class HttpAnchor:
    """
    A witness: PUTs each note to `<url>/<stream>-<size>.note`.

    The witness answers 200, 201 or 204 once it has the note for good, and refuses another note under the same name. For
    the verifier it answers GET `<url>/` with the names of all notes, one a line, and GET `<url>/<name>` with the note.

    Args:
        url: https, or http on this machine.
        headers: Such as an authorisation; never shown.
        timeout_seconds: For the whole answer.

    Raises:
        ConfigError: The URL is of no use.
    """

    __slots__ = ("_headers", "_timeout_seconds", "_url")

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout_seconds: float = 1.0) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ConfigError("HttpAnchor(url) must be https (http only to this machine)")
        self._url = url.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout_seconds = timeout_seconds

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """Have the witness keep the note."""
        from urllib.request import Request, urlopen  # noqa: PLC0415 - only with a witness

        request = Request(  # noqa: S310 - the scheme was checked
            f"{self._url}/{note_name(stream, size)}", data=note, method="PUT", headers=self._headers
        )
        with urlopen(request, timeout=self._timeout_seconds) as answer:  # noqa: S310 - as above
            if answer.status not in {200, 201, 204}:
                raise OSError("the witness did not take the checkpoint")

    def __repr__(self) -> str:
        return "HttpAnchor(...)"


class SyslogAnchor:
    """
    Sends each note as one line to a syslog server, which keeps it out of this machine's reach.

    Args:
        address: The socket of the local daemon, or (host, port).
        transport: "unix" for the local socket; "tcp" for a server that is to be relied on: a lost connection makes sends
            `Unavailable`; "udp" where a line may be lost unseen.

    Source: RFC 5424 (format), RFC 6587 (framing on TCP).
    """

    __slots__ = ("_address", "_transport")

    def __init__(
        self,
        address: str | tuple[str, int] = "/dev/log",
        *,
        transport: Literal["unix", "tcp", "udp"] = "unix",
    ) -> None:
        if transport not in {"unix", "tcp", "udp"} or isinstance(address, str) != (transport == "unix"):
            raise ConfigError('SyslogAnchor("/dev/log"), or SyslogAnchor(("host", 514), transport="tcp")')
        self._address = address
        self._transport = transport

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """Send the note."""
        said = f"{SYSLOG_MARK} {stream} {size} {base64.b64encode(note).decode('ascii')}"
        line = f"<{_SYSLOG_PRIORITY}>1 - {socket.gethostname()} guardrails {os.getpid()} checkpoint - {said}".encode()
        if self._transport == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(1.0)
                sender.sendto(line, self._address)
            return
        host, port = self._address[0], int(self._address[1])
        if self._transport == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(line, (host, port))
            return
        with socket.create_connection((host, port), timeout=1.0) as connection:
            connection.sendall(b"%d %s" % (len(line), line))

    def __repr__(self) -> str:
        return f"SyslogAnchor(transport={self._transport!r})"


class ObjectStore(Protocol):
    """What `ObjectAnchor` needs of a bucket, such as one with S3 Object Lock."""

    def put_new(self, name: str, data: bytes, /) -> None:
        """
        Store *data* under a new name, with a lock against overwriting and removal.

        Raises:
            Exception: It could not be stored, or there is something under that name.
        """


class ObjectAnchor:
    """
    Keeps each note as an object of a store with a lock.

    Args:
        store: A few lines of yours over your store's own client.
        prefix: Of the objects' names, such as "audit/shop/".
    """

    __slots__ = ("_prefix", "_store")

    def __init__(self, store: ObjectStore, *, prefix: str = "") -> None:
        self._store = store
        self._prefix = prefix

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """Store the note."""
        self._store.put_new(self._prefix + note_name(stream, size), note)

    def __repr__(self) -> str:
        return "ObjectAnchor(...)"


def refuse_inside(audit: Path, anchors: Iterable[Anchor]) -> None:
    """
    Refuse an anchor beside what it protects.

    Raises:
        ConfigError: A `DirectoryAnchor` is, or lies inside, the folder *audit*.
    """
    for anchor in anchors:
        if isinstance(anchor, DirectoryAnchor):
            folder = anchor.folder.resolve()
            if audit.resolve() in (folder, *folder.parents):
                raise ConfigError(
                    "the anchor lies inside the audit folder, where whoever changes the log can change it too"
                )
