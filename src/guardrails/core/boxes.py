"""What the texts of a text part are, by its subtype: HTML and calendars hold several, between what nobody reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from guardrails.core import folded
from guardrails.core.markup import blocks, with_blocks


class Box(NamedTuple):
    """
    How texts are taken out, and put back.

    Args:
        opened: The texts of a source.
        closed: The source with other texts, in the same order.
    """

    opened: Callable[[str], list[str]]
    closed: Callable[[str, Sequence[str]], str]


_HTML: Final = Box(blocks, with_blocks)
_FOLDED: Final = Box(folded.values, folded.with_values)


def box_of(subtype: str) -> Box | None:
    """
    The box of `text/SUBTYPE`; None where the whole part is one text.

    >>> box_of("html").opened("<p>write to <b>ann</b></p>") is not None, box_of("plain")
    (True, None)
    """
    name = subtype.lower()
    return _HTML if name in ("html", "x-amp-html") else _FOLDED if name in folded.KINDS else None
