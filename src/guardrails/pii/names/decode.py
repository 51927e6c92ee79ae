"""
From how likely each word is a part of something to what is found. Pure; standard library only.

1. A word counts by the sum of all labels of all groups: "part of a name, street or number, whichever" is surer than any one
   label. Its group is the likeliest one.
2. Words of one group are one finding where only an initial, a particle or a short word stands between them.
3. A finding covers whole words.
4. Numbers are taken from the model only where they are mostly digits, e-mail addresses only where they have an at sign: of
   those it knows less than patterns do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from guardrails.pii.names import noise
from guardrails.pii.names.places import known_places
from guardrails.pii.names.said import said_names
from guardrails.pii.spans import Span, within

GROUPS: Final = ("PERSON", "LOCATION", "PHONE", "EMAIL", "ID", "URL")
PERSON: Final = "PERSON"
LOCATION: Final = "LOCATION"
ID: Final = "ID"
PHONE: Final = "PHONE_NUMBER"
EMAIL: Final = "EMAIL_ADDRESS"
ENTITIES: Final[tuple[str, ...]] = (PERSON, LOCATION, ID, PHONE, EMAIL)
# Below the surest of patterns (phone numbers, 0.4): where both find something, the pattern names it.
BESIDE_PATTERNS: Final = 0.38
NUMBER_LEAST: Final = 0.5  # probability of a word of a number or an e-mail address
KNOWN_SCORE: Final = 0.6  # of what a list or the words around it say
BESIDE_SURE: Final = 0.5  # part of the least probability that is enough for a word beside a sure one
_BY_PATTERN: Final = frozenset({PHONE, EMAIL})
_DIGITS: Final = 6  # fewer are an amount, a year, a room
_DIGIT_SHARE: Final = 0.6
_LETTER: Final = r"[^\W\d_]"

_NAME_GAP: Final = re.compile(
    rf"\s*(?:{_LETTER}\.?|de|da|du|van|von|der|den|la|le|bin|al|el|di|del|dos|y)?[\s.'\u2019-]*", re.IGNORECASE
)
_NAME_GAP_LONGEST: Final = 5  # characters
_ADDRESS_WORD: Final = (
    r"apt|suite|ste|unit|box|floor|street|road|ave|avenue|squares?|drive|lane|boulevard|court|stra(?:ß|ss)e|place|"
    rf"(?!(?:at|by|to|or|via|but|not|you|pls)\b){_LETTER}{{1,3}}"
)
_ADDRESS_GAP: Final = re.compile(rf"[\s,.#/;-]*(?:(?:{_ADDRESS_WORD})[\s,.#/;-]*){{0,2}}", re.IGNORECASE)
_ADDRESS_GAP_LONGEST: Final = 14
_NUMBER_GAP: Final = re.compile(r"[\s()+./-]*")
_NUMBER_GAP_LONGEST: Final = 3
_AT: Final = re.compile(r"@|%40|\[at\]|\(at\)|\sat\s", re.IGNORECASE)
_WORD_BEFORE: Final = re.compile(r"[^\W_]*\Z")
_WORD_AFTER: Final = re.compile(r"[^\W_]*")


class Word(NamedTuple):
    """
    A word and what it may be.

    Args:
        start: First character.
        end: One past the last character.
        group: The likeliest of `GROUPS`.
        sure: Probability that it is part of any of them, 0 to 1.
    """

    start: int
    end: int
    group: str
    sure: float


def decoded(text: str, words: Iterable[Word], least: Mapping[str, float]) -> list[Span]:
    """
    What *words* of *text* make up, in no order; findings of different entities may overlap.

    Args:
        text: The text.
        words: Its words, in order.
        least: Entity to least probability (0 to 1) of a word; entities that are left out are not looked for.
    """
    found: list[Span] = []
    by_group: dict[str, list[Word]] = {}
    for word in words:
        by_group.setdefault(word.group, []).append(word)
    if PERSON in least:
        names = _parts(by_group.get("PERSON", ()), PERSON, least[PERSON])
        found += [
            span
            for span in _glued(text, names, _NAME_GAP, _NAME_GAP_LONGEST, least[PERSON])
            if span.end - span.start > 1 and any(map(str.isalpha, text[span.start : span.end])) and noise.a_name(text, span)
        ]
    if LOCATION in least:
        places = _parts(by_group.get("LOCATION", ()), LOCATION, least[LOCATION])
        places = [span for span in places if any(map(str.isalnum, text[span.start : span.end]))]
        if least[LOCATION] <= KNOWN_SCORE:
            places += [Span(start, end, LOCATION, KNOWN_SCORE) for start, end in known_places(text)]
        glued = _glued(text, places, _ADDRESS_GAP, _ADDRESS_GAP_LONGEST, least[LOCATION])
        found += noise.places(text, (_whole(text, span) for span in glued))
    found += _numbers(text, by_group, least)
    if EMAIL in least:
        addresses = _parts(by_group.get("EMAIL", ()), EMAIL, NUMBER_LEAST)
        found += [
            span._replace(score=BESIDE_PATTERNS)
            for span in _glued(text, addresses, _NUMBER_GAP, 1, NUMBER_LEAST)
            if _AT.search(text, span.start, span.end)
        ]
    found = [_whole(text, span) for span in found]
    if PERSON in least and least[PERSON] <= KNOWN_SCORE:  # exact: many of their scripts have no spaces between words
        taken = [(span.start, span.end) for span in found if span.type == PERSON]
        said = (Span(start, end, PERSON, KNOWN_SCORE) for start, end in said_names(text))
        found += [span for span in said if not within(span, taken)]
    return found


def _parts(words: Iterable[Word], entity: str, least: float) -> list[Span]:
    return [Span(word.start, word.end, entity, min(word.sure, 1.0)) for word in words if word.sure >= least * BESIDE_SURE]


def _glued(text: str, spans: list[Span], gap: re.Pattern[str], longest: int, least: float) -> list[Span]:
    """*spans* of one entity with neighbours joined, where the surest part is sure enough; it gives the score."""
    joined: list[Span] = []
    for span in sorted(spans):
        last = joined[-1] if joined else None
        if last is not None and (
            span.start <= last.end
            or (span.start - last.end <= longest and gap.fullmatch(text, last.end, span.start) is not None)
        ):
            joined[-1] = last._replace(end=max(last.end, span.end), score=max(last.score, span.score))
        else:
            joined.append(span)
    return [span for span in joined if span.score >= least]


def _numbers(text: str, by_group: Mapping[str, list[Word]], least: Mapping[str, float]) -> list[Span]:
    words = [*by_group.get("PHONE", ()), *by_group.get("ID", ())]
    found: list[Span] = []
    for span in _glued(text, _parts(words, ID, NUMBER_LEAST), _NUMBER_GAP, _NUMBER_GAP_LONGEST, NUMBER_LEAST):
        value = text[span.start : span.end]
        digits = sum(map(str.isdigit, value))
        if digits < _DIGITS or digits < _DIGIT_SHARE * sum(map(str.isalnum, value)):
            continue
        if not noise.a_number_of_somebody(text, _whole(text, span)):
            continue
        inside = [word.group == "PHONE" for word in words if span.start <= word.start and word.end <= span.end]
        if PHONE in least and 2 * sum(inside) >= len(inside):
            found.append(span._replace(type=PHONE, score=BESIDE_PATTERNS))
        elif ID in least and span.score >= least[ID]:
            found.append(span)
    return found


def _whole(text: str, span: Span) -> Span:
    before = _WORD_BEFORE.search(text, max(0, span.start - 100), span.start)
    after = _WORD_AFTER.match(text, span.end)
    start = span.start if before is None else before.start()
    return span._replace(start=start, end=span.end if after is None else after.end())


def beside(spans: Iterable[Span], patterns: Iterable[Span], text: str) -> list[Span]:
    """
    *spans* without what *patterns* cover, so that a pattern names what it found; what is left without a letter or digit is gone.

    >>> beside([Span(0, 9, "PERSON", 0.9)], [Span(4, 9, "URL", 0.5)], "Ann x.com")
    [Span(start=0, end=3, type='PERSON', score=0.9)]
    """
    taken = sorted((pattern.start, pattern.end) for pattern in patterns)
    left: list[Span] = []
    for span in spans:
        start = span.start
        for begin, end in taken:
            if end <= start or begin >= span.end:
                continue
            left.append(span._replace(start=start, end=begin))
            start = end
        left.append(span._replace(start=start))
    pieces = [trimmed for span in left if (trimmed := _trimmed(span, text)) is not None]
    return [span for span in pieces if span.type not in _BY_PATTERN or _says_more(text, span)]


def _says_more(text: str, span: Span) -> bool:
    """Whether what is left of a number or an address beside a pattern is more than the word in front of it."""
    value = text[span.start : span.end]
    return any(map(str.isdigit, value)) or (span.type == EMAIL and noise.a_name(text, span))


def _trimmed(span: Span, text: str) -> Span | None:
    value = text[span.start : span.end] if span.start < span.end else ""
    if not any(map(str.isalnum, value)):
        return None
    start = span.start + len(value) - len(value.lstrip())
    return span._replace(start=start, end=start + len(value.strip()))
