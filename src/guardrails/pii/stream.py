"""Masks a text that arrives in chunks, and a whole text as one chunk: the same code, so the same result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from guardrails.core.verdict import Finding
from guardrails.errors import Blocked, GuardrailsError, Unavailable
from guardrails.pii.failures import SpeakableError
from guardrails.pii.operators import Operator
from guardrails.pii.reader import Examiner, Reader
from guardrails.pii.spans import Span


@final
class Masking:
    """
    One text on its way through; raises whatever detection or an operator raises.

    Args:
        examiner: Detects.
        operators: Operator of each entity.
        reads: Told of the text, in order, each value after its operator was asked.
    """

    __slots__ = ("_held", "_held_from", "_operators", "_placed", "_reader", "_reads", "findings")

    def __init__(
        self, examiner: Examiner, operators: Mapping[str, Operator], reads: Callable[[str], None] | None = None
    ) -> None:
        self._reads = reads
        self._reader = Reader(examiner)
        self._operators = operators
        self._held = ""
        self._held_from = 0
        self._placed = 0
        self.findings: list[Finding] = []

    def feed(self, chunk: str) -> str:
        """What may leave now that *chunk* has arrived."""
        self._held += chunk
        return self._release(self._reader.feed(chunk))

    def flush(self) -> str:
        """The rest."""
        return self._release(self._reader.flush())

    def _release(self, spans: list[Span]) -> str:
        held, held_from = self._held, self._held_from
        released: list[str] = []
        position = held_from
        placed = self._placed
        for span in spans:
            value = held[span.start - held_from : span.end - held_from]
            before = held[position - held_from : span.start - held_from]
            if self._reads is not None:
                self._reads(before)
            masked = self._masked(span, value)
            if self._reads is not None:
                self._reads(value)
            released += (before, masked)
            start = placed + len(before)
            placed = start + len(masked)
            self.findings.append(Finding(span.type, span.start, span.end, span.score, (start, placed)))
            position = span.end
        settled = max(self._reader.settled, position)
        released.append(held[position - held_from : settled - held_from])
        if self._reads is not None:
            self._reads(released[-1])
        self._placed = placed + len(released[-1])
        self._held = held[settled - held_from :]
        self._held_from = settled
        return "".join(released)

    def _masked(self, span: Span, value: str) -> str:
        operator = self._operators[span.type]
        try:
            return operator.apply(span.type, value)
        except (SpeakableError, Blocked, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - users' operators raise anything; re-raised below, without the value
            kind = type(error).__name__
        raise SpeakableError(f"operator for {span.type} raised {kind}")


def masked_whole(
    masking: Masking, text: str, failed: Callable[[Exception], GuardrailsError]
) -> tuple[str, list[Finding]] | GuardrailsError:
    """
    The masked text and what was found, or the error to raise.

    Returned, not raised: whoever raises it has let go of the text first, so that no frame of the error holds any.
    """
    try:
        return masking.feed(exact(text)) + masking.flush(), masking.findings
    except Exception as error:  # noqa: BLE001 - made into an error without text
        return failed(error)


def exact(text: str) -> str:
    """
    *text* as a plain str: a subclass could answer differently to different readers.

    Raises:
        SpeakableError: It is no str.
    """
    if not isinstance(text, str):
        raise SpeakableError(f"text must be a str, not {type(text).__name__}")
    return str.__str__(text)


@final
class MaskFilter:
    """
    Masks a stream of text: joined, its output is the mask of the joined input, however that was cut.

    Args:
        begin: Makes the masking of one text.
        failed: Makes the error that is raised when a masking raised.
    """

    __slots__ = ("_begin", "_failed", "_masking")

    def __init__(self, begin: Callable[[], Masking], failed: Callable[[Exception], GuardrailsError]) -> None:
        self._begin = begin
        self._failed = failed
        self._masking = begin()

    def feed(self, chunk: str, /) -> str:
        """
        What may leave now that *chunk* has arrived.

        Raises:
            ControlError: Detection or an operator failed; what was held back is gone.
            Blocked: An entity was found that may not be sent; what was held back is gone.
        """
        try:
            ready = self._masking.feed(chunk)
            self._masking.findings.clear()
        except Exception as error:  # noqa: BLE001 - re-raised below, without text
            failure = self._failed(error)
        else:
            return ready
        del chunk  # no frame of the error holds text
        self._masking = self._begin()
        raise failure

    def flush(self) -> str:
        """
        What was still held back. Ready for the next text.

        Raises:
            ControlError: Detection or an operator failed; what was held back is gone.
            Blocked: An entity was found that may not be sent; what was held back is gone.
        """
        try:
            ready = self._masking.flush()
        except Exception as error:  # noqa: BLE001 - re-raised below, without text
            failure = self._failed(error)
        else:
            self._masking = self._begin()
            return ready
        self._masking = self._begin()
        raise failure

    def __repr__(self) -> str:
        return "MaskFilter()"
