"""
How many segments a text message takes, as networks count and bill them.

A text of the GSM 7-bit alphabet has 160 septets in one segment, or 153 in each of several (a header joins them); a character
of the extension table takes two, which stay together. Any other text goes as UCS-2: 70 units in one, or 67 in each; a
character outside the basic plane takes two units, which stay together.

Sources: 3GPP TS 23.038 §6.2.1 (alphabet and extension table), 3GPP TS 23.040 §9.2.3.24.1 (concatenation, 8-bit reference).
"""

from __future__ import annotations

from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
_SEPTETS: Final = (160, 153)  # alone, and beside others
_UNITS: Final = (70, 67)
_LAST_OF_THE_BASIC_PLANE: Final = 0xFFFF


def segments(text: str) -> int:
    """
    Segments of *text*; an empty one takes one.

    >>> segments("x" * 160), segments("x" * 161), segments("ż" * 71)
    (1, 2, 2)
    """
    if _BASIC.issuperset(text):
        alone, beside = _SEPTETS
        return 1 if len(text) <= alone else -(-len(text) // beside)
    if (_BASIC | _EXTENDED).issuperset(text):
        return _packed([2 if character in _EXTENDED else 1 for character in text], _SEPTETS)
    return _packed([2 if ord(character) > _LAST_OF_THE_BASIC_PLANE else 1 for character in text], _UNITS)


def _packed(widths: list[int], capacity: tuple[int, int]) -> int:
    alone, beside = capacity
    if sum(widths) <= alone:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > beside:
            count, used = count + 1, 0
        used += width
    return count
