"""
How much work a text is, guessed before it is done: what would hold an event loop for too long goes to a worker thread.

Patterns take their time with numbers: each could be a card, an account or, in eight regions, a phone number. 4 KiB of ordinary
text take as long as a text with some hundred digits, and 4 KiB of digits twenty times as long.
"""

from __future__ import annotations

from typing import Final

_MOST_DIGITS: Final = 400  # of a text that is looked at where it is
_DIGITS: Final = "0123456789"


def takes_long(text: str) -> bool:
    """
    Whether patterns take longer for *text* than for 4 KiB of ordinary text.

    >>> takes_long("Your order 0012345 has shipped. " * 40), takes_long("0012345 " * 80)
    (False, True)
    """
    return len(text) > _MOST_DIGITS and sum(map(text.count, _DIGITS)) > _MOST_DIGITS
