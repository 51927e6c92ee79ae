"""
What becomes of an entity in messages that come in, and in those that go out: `mask.inbound` and `mask.outbound`.

Where a policy names a direction anywhere, every mask of it is written out for both before masks are put together: so each
direction is as tight as it can be, whoever says it for one direction and whoever for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

from guardrails.pii.operators import DEFAULT
from guardrails.policy.model import Layer
from guardrails.policy.model_mask import Mask
from guardrails.policy.operator import Operator

DIRECTIONS: Final = ("inbound", "outbound")
USUAL: Final = Operator("replace")

L = TypeVar("L", bound=Layer)


def directs(mask: Mask | None) -> bool:
    """Whether *mask* says something about one direction."""
    return mask is not None and any(getattr(mask, direction) is not None for direction in DIRECTIONS)


def written_out(layer: L) -> L:
    """*layer* with what its mask says of operators said for both directions."""
    mask = layer.mask
    if mask is None:
        return layer
    both = {direction: _said(mask, direction) or None for direction in DIRECTIONS}
    return layer.model_copy(update={"mask": mask.model_copy(update=both)})


def _said(mask: Mask, direction: str) -> Mapping[str, Operator]:
    """A direction's `DEFAULT` stands for all that it does not name."""
    own: Mapping[str, Operator] = getattr(mask, direction) or {}
    return own if DEFAULT in own else {**(mask.operators or {}), **own}


class Tightness(NamedTuple):
    """How little the operators of an entity leave: tighter is what is so in one direction, and in the other no looser."""

    inbound: tuple[int, int]
    outbound: tuple[int, int]

    def __le__(self, other: Tightness) -> bool:  # type: ignore[override]  # no order of tuples
        return self.inbound <= other.inbound and self.outbound <= other.outbound

    def __gt__(self, other: Tightness) -> bool:  # type: ignore[override]
        return self != other and other <= self


def tightness_of(mask: Mask, entity: str) -> Tightness:
    """Of the operators of *entity* under *mask*."""

    def one(direction: str) -> tuple[int, int]:
        said = _said(mask, direction)
        return said.get(entity, said.get(DEFAULT, USUAL)).tightness

    return Tightness(one("inbound"), one("outbound"))
