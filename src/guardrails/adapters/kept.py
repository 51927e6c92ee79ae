"""What a provider keeps though it is no message: names, attributes and documents, which no limit counts and no record tells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from guardrails.core.exposure import Exposure, exposures
from guardrails.core.guard import Guard
from guardrails.errors import Denied


def refuse_exposed(data: Mapping[str, Any], fields: Collection[str], guard: Guard, *, control: str) -> None:
    """
    Refuse a request that is no message and whose *fields* show somebody's data for certain.

    Certain is what the door's own detector finds in any message, and a telephone number in its international form. A name is
    not: what is kept has names of its own, and `Madison` may be a street, a campaign or a person.

    Args:
        data: The request's form or body.
        fields: What in it is kept and shown, at its top.
        guard: Whose mask says what may pass.
        control: Who refuses.

    Raises:
        Denied: One of them shows a card, an account, an e-mail address, a social security number or a telephone number that no
            operator keeps.
    """
    if not guard.masks:
        return
    masks = [stack.masker for stack in guard.stacks]
    for field in fields & data.keys():
        text = unquote(str(data[field]))
        for one in [*exposures(text), *(number for mask in masks for number in _numbers(mask, text))]:
            if not all(_allows(mask, one) for mask in masks):
                raise Denied(f"{one.type} in {field}, which is kept: mask it before", control=control, sent=False)


def _numbers(mask: Any, text: str) -> Iterator[Exposure]:
    """Telephone numbers that say that they are: `2125550173` may be anybody's order."""
    found = mask.find(text) if "+" in text and hasattr(mask, "find") else ()
    for one in found:
        if one.type == "PHONE_NUMBER" and text[one.start] == "+":
            yield Exposure(one.type, text[one.start : one.end])


def _allows(mask: Any, one: Exposure) -> bool:
    allows = getattr(mask, "allows", None)
    return allows is not None and bool(allows(one.type, one.value))
