"""Puts values back in the place of tokens, in a text that arrives in chunks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, final

from guardrails.errors import GuardrailsError
from guardrails.pii.vault.session import Session
from guardrails.pii.vault.tokens import begun_at
from guardrails.pii.vault.web import Address

_BEGIN_JSON: Final = ("{", "[")


@final
class Restorer:
    """
    Puts values back into a text that arrives in chunks: joined, its output is the restored whole text.

    One pass: what a token stood for is never looked into again. Tokens of others, and invented ones, stay as they are.

    Args:
        session: Whose tokens.
        links: Also put values into web addresses, other than where they came from.
        calls: The text is what a tool is called with: where it is JSON, so it is with the values in it.
    """

    __slots__ = ("_address", "_begun", "_calls", "_held", "_links", "_session")

    def __init__(self, session: Session, *, links: bool = False, calls: bool = False) -> None:
        self._session = session
        self._links = links
        self._calls = calls
        self._begun = ""
        self._held = ""
        self._address = Address()

    def feed(self, chunk: str, /) -> str:
        """What may leave now that *chunk* has arrived."""
        self._held += chunk
        return self._restored(last=False)

    def flush(self) -> str:
        """The rest. Ready for the next text."""
        rest = self._restored(last=True)
        self._address, self._begun = Address(), ""
        return rest

    def _restored(self, *, last: bool) -> str:
        text = self._held
        out: list[str] = []
        position = 0
        for one in self._session.found(text):
            self._say(text[position : one.start], out)
            allowed = self._links or one.value.within == self._address.within
            self._say(self._written(one.value.text) if allowed else text[one.start : one.end], out)
            position = one.end
        settled = len(text) if last else max(position, begun_at(text))
        self._say(text[position:settled], out)
        self._held = text[settled:]
        return "".join(out)

    def _written(self, value: str) -> str:
        return json.dumps(value, ensure_ascii=False)[1:-1] if self._calls and self._begun in _BEGIN_JSON else value

    def _say(self, text: str, out: list[str]) -> None:
        self._begun = self._begun or text.lstrip()[:1]
        self._address.read(text)
        out.append(text)

    def __repr__(self) -> str:
        return "Restorer()"


@final
class RestoreFilter:
    """
    Restores a stream, however it is cut.

    Args:
        restorer: Does it.
        failed: Makes the error that is raised when it raised.
    """

    __slots__ = ("_failed", "_restorer")

    def __init__(self, restorer: Restorer, failed: Callable[[Exception], GuardrailsError]) -> None:
        self._restorer = restorer
        self._failed = failed

    def feed(self, chunk: str, /) -> str:
        """What may leave now that *chunk* has arrived."""
        return self._done(lambda: self._restorer.feed(chunk))

    def flush(self) -> str:
        """The rest."""
        return self._done(self._restorer.flush)

    def _done(self, act: Callable[[], str]) -> str:
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - re-raised below, without text
            failure = self._failed(error)
        raise failure
