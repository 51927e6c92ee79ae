"""
What a value of a person is known by, in every spelling and behind most disguises. Pure.

1. A *spelling* is the same value: it passes to whom the value belongs.
2. A *likeness* is as good as certainly the same person's: names in another order, a tag in an e-mail address, a disguise. It
   refuses a message to somebody else, and passes to nobody.

Source: RFC 5233 (tags of e-mail addresses); ITU-T E.164 and E.123 (international and national numbers, by phonenumbers).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from guardrails.address import normalise
from guardrails.core.exposure import exposures
from guardrails.pii.disguise import readings
from guardrails.pii.folding import fold_characters, plain

_LEAST_DIGITS: Final = 6  # of a number that is known without what stands between its groups
_LEAST_PART: Final = 6  # letters and digits of a part that is looked at by itself
_LONGEST: Final = 512  # characters of a value that is looked at for likenesses
_MOST: Final = 24  # likenesses of one value
_MOST_WORDS: Final = 6  # of a name
_WORDS: Final = re.compile(r"[^\W\d_]+")
_POSSESSIVE: Final = re.compile(r"['\u2019]s?(?=\W|$)")
_PARTS: Final = re.compile(r"[,;|\n]")
_TITLES: Final = frozenset(["mr", "mrs", "ms", "miss", "dr", "prof", "herr", "frau", "mme", "m", "mlle", "sr", "sra"])
_GERMAN: Final = str.maketrans({"\u00e4": "ae", "\u00f6": "oe", "\u00fc": "ue", "\u00df": "ss"})
_LETTERS: Final = str.maketrans(
    {"\u00df": "ss", "\u00f8": "o", "\u0142": "l", "\u00e6": "ae", "\u0153": "oe", "\u0111": "d"}
)


def spellings(value: str, *, asked: bool) -> list[str]:
    """
    What is kept of one spelling and what is *asked* for another have one in common.

    Addresses are normalised, words folded, with and without accents; a number is known by its letters and digits alone. A phone
    number with its country and one without are the same if the rest is; two of different countries never are.

    >>> spellings("+1 212 555 0173", asked=False), spellings("(212) 555-0173", asked=True)
    (['+12125550173', '#2125550173', '#12125550173'], ['(212) 555-0173', '#2125550173'])
    >>> spellings("(212) 555-0173", asked=False), spellings("+1 212 555 0173", asked=True)
    (['(212) 555-0173', '#2125550173', '=2125550173'], ['+12125550173', '=2125550173'])
    """
    address = normalise(value)
    if address.parsed:
        if address.kind != "phone":
            return [address.value]
        within = _within_country(address.value).lstrip("0")
        return [address.value, f"={within}"] if asked else [address.value, f"#{within}", f"#{address.value[1:]}"]
    folded = _folded(value)
    number = "".join(filter(str.isalnum, folded)).lstrip("0")
    if sum(map(str.isdigit, number)) < _LEAST_DIGITS:
        bare = [_unaccented(folded)] if asked else [_unaccented(folded), _unaccented(folded.translate(_GERMAN))]
        return list(dict.fromkeys([folded, *bare]))
    return [folded, f"#{number}"] if asked else [folded, f"#{number}", f"={number}"]


def likenesses(value: str, *, asked: bool) -> list[str]:
    """
    As `spellings`, and never one of them.

    >>> likenesses("Ann Smith", asked=False), "~ann smith" in likenesses("SMITH, Ann", asked=True)
    (['~ann smith'], True)
    """
    if len(value) > _LONGEST:
        return []
    found: dict[str, None] = {}
    for reading in readings(value) if asked else [value]:
        found.update(dict.fromkeys(_alike(reading)))
        if asked:
            found.update(dict.fromkeys(_within(reading, disguised=reading != value)))
        if len(found) > _MOST:
            break
    return list(found)[:_MOST]


def _alike(reading: str) -> Iterator[str]:
    address = normalise(reading)
    if address.parsed and address.kind == "email":
        local, _, domain = address.value.rpartition("@")
        yield f"~{local.partition('+')[0] or local}@{domain}"
        return
    folded = _POSSESSIVE.sub("", _folded(reading))
    if any(map(str.isdigit, folded)):
        number = "".join(filter(str.isalnum, _unaccented(folded)))
        if len(number) >= _LEAST_PART:
            yield f"~{number}"
        return
    for letters in (_unaccented(folded), _unaccented(folded.translate(_GERMAN))):
        words = _WORDS.findall(letters)
        if len(bare := [word for word in words if word not in _TITLES]) > 1:
            words = bare  # "Ms Smith" and "Mr Smith" are two people
        if 1 <= len(words) <= _MOST_WORDS:
            yield "~" + " ".join(sorted(words))


def _within(reading: str, *, disguised: bool) -> Iterator[str]:
    """What is found in a part of a value, or behind its disguise."""
    if disguised:
        yield from spellings(reading, asked=True)
    for exposed in exposures(reading):
        if disguised or len(exposed.value) < len(reading):
            yield from spellings(exposed.value, asked=True)
            yield from _alike(exposed.value)
    number = "".join(filter(str.isdigit, reading))
    if number.startswith("1") and len(number) == 11:  # noqa: PLR2004 - the trunk prefix of North America
        yield f"#{number[1:]}"
    parts = _PARTS.split(reading)
    if len(parts) > 1:
        for part in parts:
            if sum(map(str.isalnum, part)) >= _LEAST_PART:
                yield from spellings(part.strip(), asked=True)
                yield from _alike(part)


def _folded(value: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", fold_characters(plain(value)).text).casefold().split())


def _unaccented(folded: str) -> str:
    letters = unicodedata.normalize("NFKD", folded.translate(_LETTERS))
    return "".join(one for one in letters if unicodedata.category(one) != "Mn")


def _within_country(number: str) -> str:
    import phonenumbers  # noqa: PLC0415 - heavy, and loaded with the first number that was parsed

    return phonenumbers.national_significant_number(phonenumbers.parse(number))
