"""Who looks at what, for one control: at whole texts, at speech, at ids, each tenant's with what is remembered of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from guardrails.pii.channels import in_time_for_speech
from guardrails.pii.detector import Detector, on_time
from guardrails.pii.disguise import Look, disguises
from guardrails.pii.lists import Allowed
from guardrails.pii.memory import Memory
from guardrails.pii.precedence import heeding
from guardrails.pii.reader import Examiner

# Characters of a segment: "Ok Ann. Bye." alone says too little about who Ann is, and each run of the model has its price.
SHORTEST_WITH_NAMES: Final = 200


@final
class Examiners:
    """
    The examiners of a control.

    Args:
        detector: What detects.
        allow: What is never found.
        is_engine: Whether it is an engine of the user's, which answers exactly and alone.
        segments: How many segments are remembered, where there are names; 0 for none.
    """

    __slots__ = ("_allow", "_detector", "_fresh", "_is_engine", "_reads", "_segments", "ids", "memory", "speech", "usual")

    def __init__(self, detector: Detector, allow: Allowed, *, is_engine: bool, segments: int) -> None:
        self._detector = detector
        self._allow = allow
        self._is_engine = is_engine
        self._segments = segments
        look, again = on_time(detector.spans), on_time(detector.again)
        self._reads: tuple[Look, Look] = (look, again) if is_engine else (disguises(look, again), disguises(again, again))
        self._build()

    def beneath(self, above: Examiners, tightness: Callable[[str], Any]) -> None:
        """From now on, what *above* alone would find has an operator no looser; see `guardrails.pii.precedence`."""
        read, again = zip(self._reads, above._reads, strict=True)
        self._reads = heeding(*read, tightness), heeding(*again, tightness)
        self._build()

    def _build(self) -> None:
        read, again = self._reads
        detector = self._detector
        self._fresh = Examiner(
            read,
            again,
            detector.entities,
            looks_again=detector.looks_again,
            allow=self._allow,
            shortest=SHORTEST_WITH_NAMES if detector.has_names else 0,
        )
        # Speech is looked at word by word, with patterns only: a listener does not wait for the end of a sentence.
        self.speech: Examiner = self._fresh.by_words(in_time_for_speech(read if self._is_engine else again))
        self.memory: Memory | None = Memory(self._segments) if self._segments and detector.has_names else None
        self.usual: Examiner = self._fresh if self.memory is None else self._fresh.remembering(self.memory, None)
        self.ids: Examiner = self._fresh
        if detector.has_names:  # the model reads sentences, and what it says about an id is noise
            self.ids = Examiner(again, again, detector.entities, looks_again=False, allow=self._allow)

    def of(self, tenant: str | None) -> Examiner:
        """Who looks at the messages of *tenant*."""
        return self.usual if self.memory is None or tenant is None else self._fresh.remembering(self.memory, tenant)
