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

from guardrails.pii.spans import Span

# Left out is what is a name as well: will, may, mark, eve, day, min, an, do, in, so, to.
_SENTENCE: Final = """
about after again all also am and any are as at back be because been before both but by cannot could did does doing done don't
either else every for from get getting go goes going gone got had has have he her here hers him his how if instead into is it
it's its just let like made make more most much need needs never nearly next nor not nothing now of off often on once only or
other our ours out over own please put really said same see seen she should since some soon still such than that the their
theirs them then there these they thing things this those though through til till today tomorrow tonight too until up upon
very want wants was way we were what when where which while who whom whose why with within without would yes yesterday yet you
your yours minute minutes hour hours days week weeks month months year years morning afternoon evening night monday tuesday
wednesday thursday friday saturday sunday
"""
_CHAT: Final = """
aight alrite alright asap atm bcoz bcos bcum brb btw bday coz cos cuz cya dat dis dunno evng ffs fyi gd gt gonna goin gotta
gud haha hahaha hehe hey hi hiya hello hmm idk ill im imma imo ish ive jk k kk kinda lemme lol lmao lt luv mate mins mornin
mrng msg muah mwah nah nite nope np nvm ok okay omg ooh oops oredi outta pls plz ppl rofl sry sup tbh thanx thks thnx thru thx
tmr tmrw tmw tmorrow tomo tomorow tomarrow ttyl txt u ur ure w wana wanna wat wats wif wiv woz wud xo xx xxx ya yea yeah yep
yup babe baby babes bae boyfriend daddy dad darlin darling dear dude girlfriend girl girls gorgeous grandma grandpa guys hun
hunny honey lover lovely mom mommy mum mummy sis sweetheart sweetie sweety
"""
_PROGRAMS: Final = """
api count data error false http https id json line message none null number return size status true type undefined url user
uuid value version aud brl cad chf cny czk dkk eur gbp hkd huf inr jpy krw mxn nok nzd pln rub sek sgd thb usd zar
"""
# What is counted and is no part of an address; behind "room" or "floor" it may be one.
_COUNTED: Final = frozenset(
    (
        "chapter",
        "gate",
        "half",
        "job",
        "lane",
        "line",
        "page",
        "platform",
        "queue",
        "row",
        "seat",
        "size",
        "step",
        "table",
        "volume",
    )
)
_COMMON: Final = frozenset(f"{_SENTENCE} {_CHAT} {_PROGRAMS}".split())
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)?")
# A number with or without what it counts, a single letter, a digit that is read aloud in a word ("gr8", "l8r", "4u", "2nite").
_SAYS_NO_MORE: Final = re.compile(
    r"\d+(?:am|pm|m?s|min|h|hrs?|k?m|[ckm]m|kg|g|[kmgt]?b|x|k|th|st|nd|rd)?|[a-z]|\d{1,3}[a-z]|[pv]\d{1,3}"
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
    "order|tracking|parcel|package|shipment|invoice|ticket|case|issue|ref|reference|booking|sku|ean|upc|gtin|isbn|issn|serial|part|"
    "item|article|product|model|build|batch|lot|version|otp|uuid|guid|commit|hash|ts|timestamp|meter reading|txn|transaction|rma|"
    "quote|job|bestellung|sendung|commande|pedido|encomenda|ordine|bestelling|"
    r"sha\d*|(?:verification|security|promo|error|confirmation|access|login) code|"
    "(?:your|the|ur|der|ihr|votre|le|su|el|seu|o|il|tuo|uw|de) (?:code|c[o\u00f3]digo|codice)"
)
_IS: Final = "no|number|nr|num|id|code|is|was|of|es|est|ist|lautet|\u00e8|\u00e9"
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
