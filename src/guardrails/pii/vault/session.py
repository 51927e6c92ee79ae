"""The tokens of one subject, for the time of one message or one conversation's turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, final

from guardrails.errors import Unavailable
from guardrails.pii.failures import SpeakableError
from guardrails.pii.spans import Span
from guardrails.pii.vault.links import Address
from guardrails.pii.vault.scope import Scope, Value
from guardrails.pii.vault.store import FullError
from guardrails.pii.vault.tokens import begun_at, code_from, codes_in, starts_at, token_of

if TYPE_CHECKING:
    from guardrails.pii.vault.vault import Vault

_ATTEMPTS: Final = 4
TOKEN: Final = "VAULT_TOKEN"  # noqa: S105 - an entity name: what is typed that looks like a token of this subject


class Found(NamedTuple):
    """
    A token of this subject in a text.

    Args:
        start: First character.
        end: One past the last character.
        value: What it stands for.
    """

    start: int
    end: int
    value: Value


@final
class Session:
    """
    Issues and resolves the tokens of one subject. Asks the store only when there is something to ask.

    Args:
        vault: Where the rows are.
        scope: Finds the subject's rows, on first need; None says that the subject has none.
        dry: Write nothing.
    """

    __slots__ = ("_codes", "_dry", "_made", "_missing", "_scope", "_tokens", "_vault")

    def __init__(self, vault: Vault, scope: Callable[[bool], Scope | None], *, dry: bool = False) -> None:
        self._vault = vault
        self._scope = scope
        self._made: Scope | None = None
        self._dry = dry
        self._missing: set[str] = set()
        self._tokens: dict[Value, str] = {}
        self._codes: dict[str, Value] = {}

    def token(self, entity: str, text: str, within: str = "") -> str:
        """
        The token of a value: the same one every time, here and in every process.

        Raises:
            Unavailable: The store failed, or is full.
            Blocked: Nobody says whose token it would be.
        """
        value = Value(entity, text, within)
        known = self._tokens.get(value)
        if known is None:
            known = self._tokens[value] = self._issued(value)
        return known

    def found(self, text: str) -> list[Found]:
        """The tokens of this subject in *text*, in order."""
        found: list[Found] = []
        for place in codes_in(text):
            value = self._value(place.code)
            start = None if value is None else starts_at(text, place, value.entity)
            if value is not None and start is not None:
                found.append(Found(start, place.end, value))
        return found

    def spans(self, text: str) -> list[Span]:
        """The same as findings, for whoever must not take them for text, or must take them for nothing else."""
        return [Span(one.start, one.end, TOKEN, 1.0) for one in self.found(text)]

    def _issued(self, value: Value) -> str:
        scope = self._mine(make=True)
        assert scope is not None  # noqa: S101 - made
        for attempt in range(_ATTEMPTS):
            code = code_from(scope.digest(value, attempt))
            if code in self._codes:
                continue  # another value's
            if not self._dry:
                try:
                    row = self._vault.kept(scope, code, value)
                except FullError:
                    row = None
                if row is None:
                    raise Unavailable(
                        f"the vault holds {self._vault.most_values} values of one subject, and no live one is dropped: "
                        "raise Vault(most_values=...), shorten keep_seconds=, or forget the subject"
                    )
                if scope.opened(code, row) != value:
                    continue
            self._codes[code] = value
            self._missing.discard(code)
            return token_of(value.entity, code)
        raise SpeakableError("the vault found no free token")

    def _value(self, code: str) -> Value | None:
        known = self._codes.get(code)
        if known is not None or code in self._missing:
            return known
        scope = self._mine(make=False)
        row = None if scope is None else self._vault.row(scope.group, code)
        if scope is None or row is None:
            self._missing.add(code)
            return None
        value = scope.opened(code, row)
        if value is None:
            self._missing.add(code)
        else:
            self._codes[code] = value
        return value

    def _mine(self, *, make: bool) -> Scope | None:
        if self._made is None:
            self._made = self._scope(make)
        return self._made

    def __repr__(self) -> str:
        return f"Session({len(self._codes)} tokens)"


@final
class Restorer:
    """
    Puts values back into a text that arrives in chunks: joined, its output is the restored whole text.

    One pass: what a token stood for is never looked into again. Tokens of others, and invented ones, stay as they are.

    Args:
        session: Whose tokens.
        links: Also put values into web addresses, other than where they came from.
    """

    __slots__ = ("_address", "_held", "_links", "_session")

    def __init__(self, session: Session, *, links: bool = False) -> None:
        self._session = session
        self._links = links
        self._held = ""
        self._address = Address()

    def feed(self, chunk: str, /) -> str:
        """What may leave now that *chunk* has arrived."""
        self._held += chunk
        return self._restored(last=False)

    def flush(self) -> str:
        """The rest. Ready for the next text."""
        rest = self._restored(last=True)
        self._address = Address()
        return rest

    def _restored(self, *, last: bool) -> str:
        text = self._held
        out: list[str] = []
        position = 0
        for one in self._session.found(text):
            self._say(text[position : one.start], out)
            allowed = self._links or one.value.within == self._address.within
            self._say(one.value.text if allowed else text[one.start : one.end], out)
            position = one.end
        settled = len(text) if last else max(position, begun_at(text))
        self._say(text[position:settled], out)
        self._held = text[settled:]
        return "".join(out)

    def _say(self, text: str, out: list[str]) -> None:
        self._address.read(text)
        out.append(text)

    def __repr__(self) -> str:
        return "Restorer()"
