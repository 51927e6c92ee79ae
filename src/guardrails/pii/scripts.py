"""
Letters that no detector of names reads.

The name model was made for languages in Latin letters; a name in another script is mostly missed, and the record is to say so.
Numbers, e-mail addresses and web addresses are found in every script: digits and look-alikes are folded first.

Source: the first word of a letter's name in the Unicode Character Database names its script.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Final

_BEYOND: Final = re.compile(r"[^\x00-\u024f]")  # from here on not everything is a Latin letter
_LETTERS: Final = ("Lo", "Lu", "Ll", "Lt")


def unread(text: str) -> Counter[str]:
    """
    Script to number of letters in *text* that are not Latin.

    >>> unread("Ann, \u0410\u043d\u043d\u0430, \u30a2\u30f3")
    Counter({'CYRILLIC': 4, 'KATAKANA': 2})
    """
    if text.isascii():
        return Counter()
    return Counter(filter(None, map(_script, _BEYOND.findall(text))))


@lru_cache(maxsize=8_192)
def _script(character: str) -> str:
    """The script of a letter; empty for what is no letter, and for Latin ones in any dress."""
    if unicodedata.category(character) not in _LETTERS:
        return ""
    plain = unicodedata.normalize("NFKC", character)
    if plain.isascii():
        return ""
    script = unicodedata.name(plain[0], "UNNAMED").split(" ", 1)[0]
    return "" if script == "LATIN" else script
