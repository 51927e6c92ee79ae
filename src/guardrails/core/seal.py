"""
Masking with atoms: the replacements that masking itself made are not detected again, and no finding crosses them.

Used by the mask control on its way in, and by the door for whatever changed after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from guardrails.core.verdict import Finding
from guardrails.errors import ControlError

if TYPE_CHECKING:
    from guardrails.core.control import Masker

MIN_ATOM: Final = 3  # characters
DISTINCT: Final = frozenset("<>*[]{}")  # an atom holds one of these
INLINE_CHARACTERS: Final = 4_096  # longer texts are masked in a worker thread on async sends


def mask_with_atoms(masker: Masker, text: str, atoms: frozenset[str]) -> tuple[str, Sequence[Finding]]:
    """
    *text* masked between the atoms that it holds.

    Args:
        masker: The control of kind "mask".
        text: What to mask.
        atoms: Texts that are replacements already.

    Returns:
        The masked text, and findings in code points of *text*, with `placed` in the masked text.

    Raises:
        ControlError: The masker returned something else than (str, findings).
    """
    pieces = _split(text, atoms)
    if len(pieces) == 1 and not pieces[0][1]:
        return _checked(masker, text)
    out: list[str] = []
    findings: list[Finding] = []
    read = written = 0
    for piece, is_atom in pieces:
        if is_atom or not piece:
            masked = piece
        else:
            masked, found = _checked(masker, piece)
            findings += [_moved(finding, read, written) for finding in found]
        out.append(masked)
        read += len(piece)
        written += len(masked)
    return "".join(out), findings


def takes_long(masker: Masker, text: str) -> bool:
    """Whether masking *text* would hold an event loop for too long."""
    inline: int = getattr(masker, "inline_characters", INLINE_CHARACTERS)
    if len(text) > inline:
        return True
    ask = getattr(masker, "takes_long", None)
    return ask is not None and bool(ask(text))


def atoms_in(masked: str, findings: Iterable[Finding]) -> frozenset[str]:
    """
    The replacements that *findings* placed in *masked*, as far as they can be told from ordinary text.

    A replacement such as "x" would cut every address that holds an x in two; it is simply detected again.
    """
    placed = (masked[finding.placed[0] : finding.placed[1]] for finding in findings if finding.placed is not None)
    return frozenset(atom for atom in placed if len(atom) >= MIN_ATOM and not DISTINCT.isdisjoint(atom))


def changed(now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Paths whose text is not what it was."""
    return [path for path, text in now.items() if before.get(path) != text]


def _split(text: str, atoms: frozenset[str]) -> list[tuple[str, bool]]:
    present = [atom for atom in atoms if atom and atom in text]
    if not present:
        return [(text, False)]
    pattern = "|".join(re.escape(atom) for atom in sorted(present, key=len, reverse=True))
    return [(piece, number % 2 == 1) for number, piece in enumerate(re.split(f"({pattern})", text))]


def _checked(masker: Masker, text: str) -> tuple[str, Sequence[Finding]]:
    given = masker.mask(text)
    match given:
        case (str() as masked, found) if all(isinstance(one, Finding) for one in found):
            return masked, found
        case _:
            raise ControlError("mask(text) must return (masked text, findings)")


def _moved(finding: Finding, read: int, written: int) -> Finding:
    placed = finding.placed
    return replace(
        finding,
        start=finding.start + read,
        end=finding.end + read,
        placed=None if placed is None else (placed[0] + written, placed[1] + written),
    )
