"""
What the name model takes for a name, a place or a number of somebody, and a reader does not. Pure; standard library only.

1. A name or a place goes only if every word of it says nothing about anybody ("ttyl", "you at 7"); one other word keeps it. A
   place leaves such words at its ends, too.
2. A number alone is a place only behind a word that says so ("zip 94105"): a code that somebody is to type in is none.
3. A number behind a word that says what else it is ("order 10293847") is nobody's.

Only what the model finds is looked at. What has a pattern (cards, phone numbers, accounts) is found by that, whatever stands
before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from guardrails.pii.names.common_words import CHAT, COUNTED, LANGUAGES, PROGRAMS, SENTENCE
from guardrails.pii.spans import Span

_COUNTED: Final = frozenset(COUNTED.split())
_COMMON: Final = frozenset(f"{SENTENCE} {CHAT} {PROGRAMS} {LANGUAGES}".split())
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)?")
# A number with or without what it counts, a single letter, a digit that is read aloud in a word ("gr8", "l8r", "4u", "2nite").
_SAYS_NO_MORE: Final = re.compile(
    r"\d+(?:am|pm|m?s|min|h|hrs?|k?m|[ckm]m|kg|g|[kmgt]?b|x|k|th|st|nd|rd)?|[a-z]|\d{1,3}[a-z]|[a-z]\d{1,3}"
    r"|(?:gr8|l8r?s?|l8tr|m8|w8|h8|b4|4u|2u|ni8|4eva|2day|2mrw|2moro|2nite|2night)",
)
_LABELLED: Final = re.compile(
    r"(?i)(?<!\w)(?:zip|post|postal|pin|plz|cap|cep|cp|postleitzahl|postnummer|address|adresse?|direcci[o\u00f3]n|indirizzo|"
    r"endere[c\u00e7]o|live[sd]?|moved|apt|apartment|flat|suite|ste|unit|box|street|road|[adf]po|"
    r"phone|mobile|cell|tel|fax)(?!\w)\.?[^\n.!?]{0,24}\Z"
)
_ABBREVIATION: Final = re.compile(r"(?:[^\W\d_]\.){2}")  # U.S.A.
_NEAR: Final = 16  # characters between a number and the rest of its address
_SENTENCE_ENDS: Final = re.compile(r"[.!?]\s|\n\n")
_REACH: Final = 48  # characters in front of a number
_NUMBERED: Final = (
    r"order(?:nummer|nr)?|tracking|parcel|package|shipment|invoice|ticket|case|issue|ref|reference|booking|sku|ean|upc|gtin|isbn|issn|serial|part|"
    "item|article|product|model|build|batch|lot|version|otp|uuid|guid|commit|hash|ts|timestamp|meter reading|txn|transaction|rma|"
    "quote|job|bestellung|sendung|commande|pedido|encomenda|ordine|bestelling|colis|paquete|pacco|pakket|paket|prenotazione|reserva|"
    r"sha\d*|(?:verification|security|promo|error|confirmation|access|login) code|"
    r"(?:your|the|ur|der|den|ihr|ihren|votre|le|su|el|seu|o|il|tuo|uw|de) (?:code|c[o\u00f3]digo|codice)|"
    r"(?:code|c[o\u00f3]digo|codice) (?:de|di) "
    r"(?:verifica\w*|confirma\w*|v\u00e9rification|conferma|seguridad|s\u00e9curit\u00e9|acceso)"
)
_IS: Final = "el|il|o|no|n[\u00b0\u00ba.]|number|nr|num|id|code|is|was|of|es|est|ist|lautet|\u00e8|\u00e9"
_OF_SOMETHING_ELSE: Final = re.compile(
    rf"(?i)(?:(?<!\w)(?:{_NUMBERED})(?![^\W_])[\s:#.=_\"']*(?:(?:{_IS})(?!\w)[\s:#.=\"']*){{0,2}}[\w-]{{0,12}}"
    r"|\d\.|[0-9a-f]{4}-)\Z"
)
_UNIX_TIME: Final = re.compile(r"1[4-9]\d{8}(?:\d{3})?")


def a_name(text: str, span: Span) -> bool:
    """
    Whether a name that was found says anything about anybody.

    >>> a_name("ok babe", Span(3, 7, "PERSON", 0.9)), a_name("ok Babette", Span(3, 10, "PERSON", 0.9))
    (False, True)
    """
    words = [word.lower() for word in _WORD.findall(text, span.start, span.end)]
    return any(word not in _COMMON for word in words)


def places(text: str, spans: Iterable[Span]) -> list[Span]:
    """
    Places that were found, in order, without what says nothing.

    >>> places("ok, see you at 7", [Span(8, 16, "LOCATION", 0.9)])
    []
    """
    trimmed = [span for one in spans if (span := _trimmed(text, one)) is not None]
    named = [span for span in trimmed if not _is_number(text, span)]
    return [
        span
        for span in trimmed
        if span in named
        or _LABELLED.search(text[max(0, span.start - _REACH) : span.start]) is not None
        or any(_are_near(text, *sorted((span, other))) for other in named)
    ]


def _trimmed(text: str, span: Span) -> Span | None:
    if _ABBREVIATION.match(text, span.start, span.end) is not None:
        return span
    words = list(_WORD.finditer(text, span.start, span.end))
    while words and words[0].group().lower() in _COMMON:
        del words[0]
    while words and words[-1].group().lower() in _COMMON:
        del words[-1]
    return span._replace(start=words[0].start(), end=words[-1].end()) if words else None


def _is_number(text: str, span: Span) -> bool:
    if _ABBREVIATION.search(text, span.start, span.end) is not None:
        return False
    words = (word.lower() for word in _WORD.findall(text, span.start, span.end))
    return all(word in _COMMON or word in _COUNTED or _SAYS_NO_MORE.fullmatch(word) is not None for word in words)


def _are_near(text: str, first: Span, second: Span) -> bool:
    return second.start - first.end <= _NEAR and _SENTENCE_ENDS.search(text, first.end, second.start) is None


def a_number_of_somebody(text: str, span: Span) -> bool:
    """
    Whether a number that was found is not said to be another one.

    >>> a_number_of_somebody("Order #10293847", Span(7, 15, "ID", 0.9))
    False
    >>> a_number_of_somebody("Member 10293847", Span(7, 15, "ID", 0.9))
    True
    """
    if _UNIX_TIME.fullmatch(text, span.start, span.end) is not None:
        return False
    return _OF_SOMETHING_ELSE.search(text[max(0, span.start - _REACH) : span.start]) is None
