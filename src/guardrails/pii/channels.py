"""What the mask does differently on a channel: words instead of sentences of speech, and text messages that grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from guardrails.core.message import Message
from guardrails.errors import Unavailable
from guardrails.pii.spans import Span
from guardrails.segments import segments

SPEECH_SECONDS: Final = 0.15  # of work on one piece of speech; a listener hears a longer pause


def in_time_for_speech(
    look: Callable[[str], list[Span]], clock: Callable[[], float] = time.thread_time
) -> Callable[[str], list[Span]]:
    """
    *look*, refused when one piece takes longer than `SPEECH_SECONDS` of this thread's own time.

    Args:
        look: Detection.
        clock: Seconds; for tests.
    """

    def spans(text: str, /) -> list[Span]:
        begun = clock()
        found = look(text)
        if clock() - begun > SPEECH_SECONDS:
            raise Unavailable(f"looking at a word took longer than {SPEECH_SECONDS * 1000:g} ms of speech")
        return found

    return spans


def grown_sms(before: Message, after: Message) -> Mapping[str, str | int | bool | None] | None:
    """
    How many segments a text message takes, where masking made it take more; for the record.

    Args:
        before: As it came.
        after: As it was masked.
    """
    if before.channel != "sms" or before.parts is after.parts:
        return None
    was, now = (sum(segments(text) for text in message.parts.values() if text) for message in (before, after))
    return {"segments_before": was, "segments_after": now} if now > was else None
