"""Where a shared store is: the address as people write it, read strictly."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from guardrails.errors import ConfigError

_PLAIN: Final = ("redis", "valkey")
_TLS: Final = ("rediss", "valkeys")
_UNIX: Final = ("redis+unix", "valkey+unix", "unix")
_HOW: Final = (
    '"memory://", "redis://host:6379/0", "rediss://..." (TLS), "redis+unix:///path/to.sock"; or the same with valkey'
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    A server.

    Attributes:
        host: Name or address; empty for a unix socket.
        path: Of the unix socket; empty otherwise.
        tls: Whether the connection is encrypted, and the server's certificate checked.
    """

    host: str
    port: int
    path: str
    database: int
    tls: bool
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """How a log calls it."""
        return self.path or f"{self.host}:{self.port}"


def endpoint(storage: str, plaintext_hosts: Collection[str] = (), *, asked_by: str = "RateLimit") -> Endpoint:
    """
    Read *storage*.

    Args:
        storage: The address.
        plaintext_hosts: Hosts that may be asked without TLS, besides loopback.
        asked_by: Whose argument it is, for errors.

    Raises:
        ConfigError: It is none that we know, or would send without TLS to a host that was not named.
    """
    try:
        parts = urlsplit(storage)
        host, port = parts.hostname or "", parts.port or 6379
    except ValueError:
        raise ConfigError(f"{asked_by}: storage is not an address; write {_HOW}") from None
    if parts.scheme not in (*_PLAIN, *_TLS, *_UNIX):
        raise ConfigError(f"{asked_by}: unknown storage scheme; write {_HOW}")
    if parts.query or parts.fragment:
        raise ConfigError(f"{asked_by}: storage takes no options after ? or #; they are arguments of {asked_by}")
    named = unquote(parts.username) if parts.username else None
    secret = unquote(parts.password) if parts.password else None
    if parts.scheme in _UNIX:
        if host or not parts.path.strip("/"):
            raise ConfigError(f'{asked_by}: a unix socket is written "redis+unix:///path/to.sock"')
        return Endpoint("", 0, unquote(parts.path), 0, tls=False, username=named, password=secret)
    database = parts.path.strip("/")
    if not host or not (database == "" or (database.isascii() and database.isdigit())):
        raise ConfigError(f"{asked_by}: storage needs a host, and after it nothing but the number of a database")
    tls = parts.scheme in _TLS
    if not tls and not is_loopback(host) and host not in plaintext_hosts:
        raise ConfigError(
            f"{asked_by}: the store's host is not this machine, and the connection would not be encrypted; "
            "write rediss:// (or valkeys://), or name the host in plaintext_hosts="
        )
    return Endpoint(host, port, "", int(database or 0), tls=tls, username=named, password=secret)


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine by its very name; nothing is resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
