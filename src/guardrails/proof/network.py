"""Sees every socket that is made and every name that is resolved in this process, through Python's audit hooks."""

from __future__ import annotations

import sys
from typing import Any, Final, Self

_EVENTS: Final = frozenset(
    {"socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
)
_watching: list[Watched] = []
_hooked: list[bool] = []


class Watched:
    """
    A block of code whose use of the network is noted. A hook cannot be taken away again; outside of blocks it does nothing.

    Attributes:
        events: Names of the events, such as "socket.connect"; never an address.
    """

    def __init__(self) -> None:
        self.events: list[str] = []

    def __enter__(self) -> Self:
        if not _hooked:
            _hooked.append(True)
            sys.addaudithook(_heard)
        _watching.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _watching.remove(self)


def _heard(event: str, _arguments: tuple[Any, ...]) -> None:
    if _watching and event in _EVENTS:
        for one in _watching:
            one.events.append(event)
