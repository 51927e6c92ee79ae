"""A provider's answer in JSON: its texts for the guard, and the answer with the guard's texts in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from guardrails.adapters.leaves import Texts, texts_of, with_keys, without_tokens

ERROR: Final = 400  # the first HTTP status that says that something went wrong


class ProviderError(Exception):
    """
    The provider answered with an error: the record says so, and the caller gets the masked answer.

    Args:
        response: The masked answer, as the host's client expects it.
        status_code: Goes on the record.
    """

    def __init__(self, response: Any, status_code: int) -> None:
        super().__init__("the provider answered with an error")
        self.response = response
        self.status_code = status_code


class Answer:
    """
    One answer, from its arrival inside the guarded send to its way back to the host.

    Args:
        skip: Keys that are no text.
        masks: Whether its texts are masked; otherwise it stays as it came.
    """

    def __init__(self, skip: Collection[str], *, masks: bool) -> None:
        self._skip = skip
        self._masks = masks
        self._texts: Texts | None = None
        self._rebuild: Callable[[Any], Any] = lambda data: data
        self._whole: Any = None

    def read(
        self, whole: Any, data: object, status: int, mask: Callable[[str], str], rebuild: Callable[[Any], Any]
    ) -> dict[str, str]:
        """
        The texts of an answer, for the guard to mask.

        Args:
            whole: The host's own response.
            data: What it says, parsed.
            status: Its HTTP status.
            mask: For keys, and for an error's texts, which the guard does not see.
            rebuild: Makes a response of other data.

        Raises:
            ProviderError: The status says so.
        """
        self._whole, self._rebuild = whole, rebuild
        kept = with_keys(without_tokens(data), mask) if self._masks else data
        self._texts = texts_of(kept, skip=self._skip)
        if status >= ERROR:
            masked = {path: mask(text) for path, text in self._texts.parts.items()}
            raise ProviderError(self.with_texts(masked), status)
        return dict(self._texts.parts)

    def with_texts(self, reply: Mapping[str, str] | Any) -> Any:
        """The host's response with the guard's texts in it; a control's own reply as it is."""
        if self._texts is None:
            return reply
        data = self._texts.put(reply)
        return self._whole if data is self._texts.value and not self._masks else self._rebuild(data)


def parsed(text: str | bytes | None) -> object:
    """JSON, or the text itself."""
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
