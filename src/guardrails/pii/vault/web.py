"""
Whether the end of a text stands inside a web address.

A model that writes `https://example.com/?q=TOKEN` would send the value to whoever reads the log of that host, if the
token became a value there. So a token becomes a value inside an address only where it was issued in the very same address.
"""

from __future__ import annotations

import re
from typing import Final, final

_MOST: Final = 4_096  # characters of one address that are compared
# Browsers take both, and see through entities, also without their semicolon; programs through the escapes of JSON.
_SLASH: Final = r"(?:[/\\]|&#0*47;?|&#x0*2f;?|&sol;|&#0*92;?|&#x0*5c;?|&bsol;|\\u00(?:2f|5c)|%2f|%5c)"
_DOT: Final = "[.\u3002\uff0e\uff61]"  # UTS 46 takes these for one
_HOST: Final = (
    rf"(?:{_DOT}(?:xn--[a-z0-9-]{{1,59}}|[^\W\d_]{{2,63}})|\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\blocalhost){_DOT}?(?::\d+)?"
)
_BEGINS: Final = re.compile(
    rf"{_SLASH}{{2}}|www\.|mailto:|\b(?:data|javascript):|\b(?:sms|smsto|tel):[^\s?]*\?|{_HOST}(?:{_SLASH}|[?#])",
    re.IGNORECASE,
)
_ENDS_WITH: Final = frozenset("/?#.:\\;")  # each of these beginnings does
_EVENT: Final = re.compile(r"""[\s"'>/?#.:\\;]""")
_SCHEME_OR_HOST: Final = re.compile(r"[\w.+:@%-]*\Z")
_QUOTES: Final = {'"': '"', "'": "'", "<": ">"}  # in quotes, an address goes on after a space


@final
class Address:
    """
    Reads a text from its start, in any chunks.

    >>> address = Address()
    >>> address.read("See https://example.com/?q="), address.within
    (None, 'https://example.com/?q=')
    >>> address.read(" or"), address.within
    (None, '')
    """

    __slots__ = ("_inside", "_length", "_run", "_until")

    def __init__(self) -> None:
        self._run = ""  # since the last space, and since the opening quote of an address
        self._length = 0
        self._inside = False
        self._until = ""  # what ends an address in quotes

    @property
    def within(self) -> str:
        """What stands before the end of the text in the same address; empty outside of one."""
        if not self._inside:
            return ""
        return self._run if self._length <= _MOST else f"{self._run}#{self._length}"

    def read(self, text: str) -> None:
        """Go on with *text*."""
        at = 0
        for event in _EVENT.finditer(text):
            here = event.start()
            one = text[here]
            if self._until:
                if one == self._until:
                    self._over()
                    at = here + 1
            elif one.isspace():
                self._over()
                at = here + 1
            elif one in _ENDS_WITH and not self._inside:
                self._add(text[at : here + 1])
                at = here + 1
                self._look()
        self._add(text[at:])

    def _add(self, text: str) -> None:
        self._run += text[: max(0, _MOST - self._length)]
        self._length += len(text)
        self._inside = self._inside or self._length > _MOST

    def _look(self) -> None:
        begins = None if self._inside else _BEGINS.search(self._run, max(0, len(self._run) - 80))
        if begins is None:
            return
        self._inside = True
        rest = _SCHEME_OR_HOST.sub("", self._run[: begins.start()])
        self._until = _QUOTES.get(rest[-1:], "")

    def _over(self) -> None:
        self._run, self._length, self._inside, self._until = "", 0, False, ""
