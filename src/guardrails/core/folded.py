"""
The texts of a calendar or a card: the values of their lines, unfolded, with all else left exactly as it was written.

Sources: RFC 5545 3.1 (iCalendar), RFC 6350 3.2 and 3.3 (vCard): `NAME;PARAMETER=VALUE:VALUE`, and a line that begins with a
blank goes on where the last one ended, also in the middle of an address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

KINDS: Final = frozenset({"calendar", "vcard", "x-vcard", "x-vcalendar", "directory"})  # below `text/`
_LINE: Final = re.compile(r"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*")
_FOLD: Final = re.compile(r"\r?\n[ \t]")
_NAME: Final = re.compile(r"(?:[\w-]+\.)?([\w-]+)(?=[;:])")
# What holds no words: the frame of a component, moments, enumerations, ids.
_NO_TEXTS: Final = re.compile(
    r"ACTION|BEGIN|CALSCALE|CLASS|COMPLETED|CREATED|DTEND|DTSTAMP|DTSTART|DUE|DURATION|END|EXDATE|FREEBUSY|LAST-MODIFIED"
    r"|METHOD|PERCENT-COMPLETE|PRIORITY|PRODID|RDATE|RECURRENCE-ID|REPEAT|REV|RRULE|SEQUENCE|STATUS|TRANSP|TRIGGER|TZID"
    r"|TZOFFSETFROM|TZOFFSETTO|UID|VERSION",
    re.IGNORECASE,
)


def values(source: str) -> list[str]:
    r"""
    The texts of *source*: of each line what stands after its name, parameters too.

    >>> values("BEGIN:VCARD\r\nNOTE:write to ann@exa\r\n mple.com\r\nEND:VCARD\r\n")
    ['write to ann@example.com']
    """
    return [text for _, _, text in _places(source)]


def with_values(source: str, news: Sequence[str]) -> str:
    """*source* with other texts, in the order of `values`; a changed one stands on one line."""
    out, at = [], 0
    for (start, end, text), new in zip(_places(source), news, strict=True):
        if new != text:
            out += [source[at:start], " ".join(new.splitlines())]
            at = end
    return "".join(out) + source[at:]


def _places(source: str) -> list[tuple[int, int, str]]:
    found = []
    for line in _LINE.finditer(source):
        named = _NAME.match(line[0])
        if named is not None and _NO_TEXTS.fullmatch(named[1]):
            continue
        begins = named.end() + 1 if named is not None else 0
        if text := _FOLD.sub("", line[0][begins:]):
            found.append((line.start() + begins, line.end(), text))
    return found
