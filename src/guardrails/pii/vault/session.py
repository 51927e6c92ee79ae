"""The tokens of one subject, for the time of one message or one conversation's turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, final

from guardrails.pii.failures import SpeakableError, wordless
from guardrails.pii.spans import Span
from guardrails.pii.vault.rows import KeyGoneError, Rows
from guardrails.pii.vault.scope import Scope, Value
from guardrails.pii.vault.tokens import code_from, codes_in, labelled_at, starts_at, token_of

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


def typed(text: str) -> list[Span]:
    """
    Everything in *text* that looks like a token, anybody's and nobody's, as findings: what is typed comes back as it was typed.

    Not only what is a token now: what has expired could be issued again before the text comes back.
    """
    return [
        Span(start, place.end, TOKEN, 1.0) for place in codes_in(text) if (start := labelled_at(text, place)) is not None
    ]


@final
class Session:
    """
    Issues and resolves the tokens of one subject. Asks the store only when there is something to ask.

    Args:
        rows: Where they are.
        whom: Says who the subject is, on first need.
        tenant: Of which tenant.
        dry: Write nothing.
    """

    __slots__ = ("_codes", "_dry", "_missing", "_rows", "_scopes", "_tenant", "_tokens", "_whom")

    def __init__(self, rows: Rows, whom: Callable[[], str], tenant: str | None, *, dry: bool = False) -> None:
        self._rows = rows
        self._whom = whom
        self._tenant = tenant
        self._scopes: list[Scope] | None = None
        self._dry = dry
        self._missing: set[str] = set()
        self._tokens: dict[Value, tuple[str, float]] = {}  # each with when it was issued
        self._codes: dict[str, Value] = {}

    @wordless
    def token(self, entity: str, text: str, within: str = "") -> str:
        """
        The token of a value: the same one every time, here and in every process.

        Raises:
            Unavailable: The store failed, or is full.
            Blocked: Nobody says whose token it would be.
            ControlError: A row was altered.
        """
        return self.issued(entity, text, within)

    def issued(self, entity: str, text: str, within: str = "") -> str:
        """As `token`, for the mask, which makes its own errors."""
        value = Value(entity, text, within)
        now = self._rows.now()
        known, since = self._tokens.get(value, ("", now))
        if not known or now - since >= self._rows.keep_seconds / 2:  # a session that is held for long renews what it uses
            known = self._issued(value)
            self._tokens[value] = (known, now)
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
        """The same as findings, for whoever must not take them for text."""
        return [Span(one.start, one.end, TOKEN, 1.0) for one in self.found(text)]

    def _issued(self, value: Value) -> str:
        for _ in range(_ATTEMPTS):
            try:
                return self._issued_in(self._own_scope(), value)
            except KeyGoneError:  # nothing that was issued under it can be restored any more
                self._scopes = None
                self._tokens.clear()
                self._codes.clear()
        raise SpeakableError("the subject was forgotten while a token was issued")

    def _issued_in(self, scope: Scope, value: Value) -> str:
        for attempt in range(_ATTEMPTS):
            code = code_from(scope.digest(value, attempt))
            if self._codes.get(code, value) != value:
                continue  # another value's
            if not self._dry and scope.opened(code, self._rows.kept(scope, code, value)) != value:
                continue
            self._codes[code] = value
            self._missing.discard(code)
            return token_of(value.entity, code)
        raise SpeakableError("the vault found no free token")

    def _value(self, code: str) -> Value | None:
        known = self._codes.get(code)
        if known is not None or code in self._missing:
            return known
        for scope in self._known_scopes():
            row = self._rows.row(scope.group, code)
            value = None if row is None else scope.opened(code, row)
            if value is not None:
                self._codes[code] = value
                return value
        self._missing.add(code)
        return None

    def _known_scopes(self) -> list[Scope]:
        if not self._scopes:
            self._scopes = self._rows.scopes(self._whom(), self._tenant)
        return self._scopes

    def _own_scope(self) -> Scope:
        known = self._known_scopes()
        if not known:
            known.append(self._rows.made(self._whom(), self._tenant, dry=self._dry))
        return known[0]

    def __repr__(self) -> str:
        return f"Session({len(self._codes)} tokens)"
