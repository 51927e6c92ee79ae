"""The mask control for one message, where its channel, direction, budget or person asks for something of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from guardrails.core.verdict import Finding
from guardrails.errors import ControlError, GuardrailsError
from guardrails.pii.effort import takes_long
from guardrails.pii.operators import Operator
from guardrails.pii.reader import Examiner
from guardrails.pii.stream import MaskFilter, Masking, masked_whole
from guardrails.pii.vault.bond import Bond, Lesson
from guardrails.pii.vault.restorer import RestoreFilter


@final
@dataclass(frozen=True, slots=True)
class ScopedMask:
    """
    The mask control for one message.

    Args:
        examiner: Detects.
        operators: Operator of each entity.
        failed: Makes the error that is raised when a masking raised.
        inline_characters: Longer texts of async sends are masked in a worker thread.
        lets_pass: Whether a value may go out as it is.
        of_streams: Detects in streams, where that is another.
        bond: What the vault knows of whom the message is about, where there is a vault.
    """

    examiner: Examiner
    operators: Mapping[str, Operator]
    failed: Callable[[Exception], GuardrailsError]
    inline_characters: int
    lets_pass: Callable[[str, str], bool]
    of_streams: Examiner | None = None
    bond: Bond | None = None

    @property
    def sealing(self) -> ScopedMask:
        """For text that changed on its way."""
        return self if self.bond is None else replace(self, bond=self.bond.sealing)

    @property
    def replies(self) -> ScopedMask:
        """For what comes back to the caller."""
        return self if self.bond is None else replace(self, bond=self.bond.replies)

    @property
    def lesson(self) -> Lesson | None:
        """What the message says about its sender, where that is to be learned."""
        return None if self.bond is None else self.bond.lesson

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        """The masked text, and what was found."""
        done = masked_whole(self._masking(self.examiner), text, self.failed)
        del text  # no frame of the error holds it
        if isinstance(done, GuardrailsError):
            raise done
        return done

    def allows(self, entity: str, value: str, /) -> bool:
        """Whether a value may go out as it is; see `MaskPII.allows`."""
        return self.lets_pass(entity, value)

    def takes_long(self, text: str, /) -> bool:
        """Whether a text of an async send is masked in a worker thread although it is short."""
        return takes_long(text)

    def filter(self) -> MaskFilter:
        """A fresh filter that masks a stream."""
        return MaskFilter(lambda: self._masking(self.of_streams or self.examiner), self.failed)

    def restore(self, text: str, way: Sequence[object] = (), /) -> str:
        """
        *text* with the subject's tokens turned back.

        Args:
            text: What came back.
            way: Names of the fields and keys that lead to it, or paths of such names.
        """
        if not self.restores_at(way):
            return text
        restoring = self.restoring(way)
        return restoring.feed(text) + restoring.flush()

    def restores_at(self, way: Sequence[object], /) -> bool:
        """Whether values come back where *way* leads."""
        return self._bond().restores_at(way)

    def restoring(self, way: Sequence[object] = (), /) -> RestoreFilter:
        """A fresh filter that restores a stream at the end of *way*."""
        return RestoreFilter(self._bond().restorer(way), self.failed)

    def _masking(self, examiner: Examiner) -> Masking:
        return Masking(examiner, self.operators) if self.bond is None else self.bond.masking(examiner, self.operators)

    def _bond(self) -> Bond:
        if self.bond is None:
            raise ControlError("nothing is restored without a vault")
        return self.bond
