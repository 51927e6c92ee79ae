"""
Masking for one person: tokens of their own, their own data let through, and what came back restored.

1. What is typed that is already a token of this subject gets a token itself, so that it comes back as it was typed.
2. A value that belongs to somebody else refuses the message; one's own passes only to verified addresses of one's own.
3. What a model writes into an argument of a tool, or into a web address, stays a token unless that was granted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, final

from guardrails.core.message import Message
from guardrails.core.verdict import Finding
from guardrails.errors import Blocked, ConfigError, GuardrailsError
from guardrails.pii.effort import takes_long
from guardrails.pii.operators import Operator
from guardrails.pii.reader import Examiner
from guardrails.pii.stream import MaskFilter, Masking, masked_whole
from guardrails.pii.vault.links import Address
from guardrails.pii.vault.pseudonym import Pseudonym
from guardrails.pii.vault.session import TOKEN, Restorer, Session
from guardrails.pii.vault.vault import Vault

RESTORABLE: Final = frozenset({"links", "tools"})
_NAME: Final = re.compile(r"\w+")
_OF_TOOLS: Final = frozenset({"tool_calls", "function_call", "tool_use", "arguments", "input"})


class Ownership(Protocol):
    """Whose values are whose, for one message."""

    def __call__(self, value: str, /) -> str:
        """`"own"`, `"other"` or `"nobody"`."""


@dataclass(frozen=True, slots=True)
class _InScope:
    """The operator of one entity, for one text of one person."""

    operator: Operator
    session: Session
    address: Address
    ownership: Ownership | None
    learns: Callable[[str, str], None] | None = None

    def apply(self, entity: str, value: str, /) -> str:
        if self.learns is not None:
            self.learns(entity, value)
        if self.ownership is not None and entity != TOKEN:
            whose = self.ownership(value)
            if whose == "own":
                return value
            if whose == "other":
                raise Blocked("other_subject", findings={entity: 1})
        if isinstance(self.operator, Pseudonym) and self.operator.vault is None:
            return self.session.token(entity, value, self.address.within)
        return self.operator.apply(entity, value)


@final
class Lesson:
    """
    What an inbound message says about the person who sent it.

    Args:
        vault: Where it is learned.
        message: The message.
        entities: What is learned.
    """

    __slots__ = ("_about", "_entities", "_tenant", "_values", "_vault")

    def __init__(self, vault: Vault, message: Message, entities: Collection[str]) -> None:
        self._vault = vault
        self._about = vault.about(message)
        self._tenant = message.tenant
        self._entities = frozenset(entities)
        self._values: dict[str, None] = {}

    def hear(self, entity: str, value: str) -> None:
        """Keep a value in mind."""
        if entity in self._entities:
            self._values[value] = None

    def __bool__(self) -> bool:
        return bool(self._values)

    def learn(self) -> None:
        """Register it as the sender's own, if the address is verified as theirs."""
        subject, verified = self._about()
        if verified:
            self._vault.learn(subject, list(self._values), tenant=self._tenant)


@final
@dataclass(frozen=True, slots=True)
class BoundMask:
    """
    The mask control for one message.

    Args:
        session: The subject's tokens.
        examiner: Detects.
        operators: Operator of each entity.
        failed: Makes the error that is raised when a masking raised.
        ownership: Whose values are whose; None for not asking.
        restore_into: Where else than in texts values come back: of `RESTORABLE`.
        inline_characters: Longer texts of async sends are masked in a worker thread.
        lets_pass: Whether a value may go out as it is.
        of_streams: Detects in streams, where that is another.
        lesson: What the message says about its sender, where that is to be learned.
        escapes: Whether tokens in the text are text that somebody typed.
    """

    session: Session
    examiner: Examiner
    operators: Mapping[str, Operator]
    failed: Callable[[Exception], GuardrailsError]
    ownership: Ownership | None
    restore_into: Collection[str]
    inline_characters: int
    lets_pass: Callable[[str, str], bool]
    of_streams: Examiner | None = None
    lesson: Lesson | None = None
    escapes: bool = True

    @property
    def sealing(self) -> BoundMask:
        """For text that changed on its way: its tokens are tokens."""
        return replace(self, escapes=False, lesson=None)

    @property
    def replies(self) -> BoundMask:
        """For what comes back to the caller, who is none of the subjects."""
        return replace(self, escapes=False, ownership=None, lesson=None)

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        """The masked text, and what was found."""
        done = masked_whole(self._masking(), text, self.failed)
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
        return MaskFilter(lambda: self._masking(streamed=True), self.failed)

    def restore(self, text: str, way: Sequence[object] = (), /) -> str:
        """
        *text* with the subject's tokens turned back.

        Args:
            text: What came back.
            way: Names of the fields and keys that lead to it, or paths of such names.
        """
        if not self.restores_at(way):
            return text
        restoring = self.restoring()
        return restoring.feed(text) + restoring.flush()

    def restores_at(self, way: Sequence[object], /) -> bool:
        """Whether values come back where *way* leads: not into what a tool is called with, unless that is granted."""
        if "tools" in self.restore_into:
            return True
        names = (name for one in way if isinstance(one, str) for name in _NAME.findall(one))
        return _OF_TOOLS.isdisjoint(names)

    def restoring(self) -> RestoreFilter:
        """A fresh filter that restores a stream."""
        return RestoreFilter(Restorer(self.session, links="links" in self.restore_into), self.failed)

    def _masking(self, *, streamed: bool = False) -> Masking:
        examiner = self.of_streams if streamed and self.of_streams is not None else self.examiner
        address = Address()
        learns = None if self.lesson is None else self.lesson.hear
        operators: dict[str, Operator] = {
            entity: _InScope(operator, self.session, address, self.ownership, learns)
            for entity, operator in self.operators.items()
        }
        operators[TOKEN] = _InScope(Pseudonym(), self.session, address, None)
        if self.escapes:
            return Masking(examiner.beside(also=self.session.spans), operators, address.read)
        return Masking(examiner.beside(atoms=self.session.spans), operators, address.read)


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


def bound_to(
    message: Message,
    *,
    vault: Vault,
    own: str | None,
    dry: bool,
    examiner: Examiner,
    operators: Mapping[str, Operator],
    failed: Callable[[Exception], GuardrailsError],
    restore_into: Collection[str],
    inline_characters: int,
    lets_pass: Callable[[str, str], bool],
    learn: Collection[str] = (),
    of_streams: Examiner | None = None,
) -> BoundMask:
    """The mask for *message*; whom it is about is asked of the vault when it matters first."""
    about = vault.about(message)
    inbound = message.direction == "inbound"

    def ownership(value: str, /) -> str:
        owners = vault.owners(value, message.tenant)
        if not owners:
            return "nobody"
        subject, verified = about()
        if owners.isdisjoint(vault.ids_of(subject, message.tenant)):
            return "nobody" if inbound else "other"  # what a person writes about others reaches nobody: it is masked
        return "own" if verified and own == "keep" else "nobody"

    return BoundMask(
        session=Session(vault, lambda make: vault.scope(about()[0], message.tenant, make=make, dry=dry), dry=dry),
        examiner=examiner,
        operators=operators,
        failed=failed,
        ownership=None if own is None else ownership,
        restore_into=restore_into,
        inline_characters=inline_characters,
        lets_pass=lets_pass,
        of_streams=of_streams,
        lesson=Lesson(vault, message, learn) if learn and inbound and not dry else None,
    )


def check_vault(vault: object, own: object, restore_into: object, learn: object = ()) -> None:
    """
    Whether these arguments of `MaskPII` fit together.

    Raises:
        ConfigError: They do not.
    """
    if vault is not None and not isinstance(vault, Vault):
        raise ConfigError(f"MaskPII(vault=...) takes a Vault, not {type(vault).__name__}")
    if own not in (None, "keep", "mask"):
        raise ConfigError('MaskPII(own=...) is "keep", "mask" or None')
    if not isinstance(restore_into, Collection) or isinstance(restore_into, str) or not RESTORABLE.issuperset(restore_into):
        raise ConfigError(f"MaskPII(restore_into=...) takes a list of {', '.join(map(repr, sorted(RESTORABLE)))}")
    if not isinstance(learn, Collection) or isinstance(learn, str):
        raise ConfigError("MaskPII(learn=...) takes a list of entity names")
    if vault is None and (own is not None or restore_into or learn):
        raise ConfigError("MaskPII(own=..., restore_into=..., learn=...) need vault=, which knows whose data is whose")


def check_operators(vault: Vault | None, operators: Collection[Operator]) -> None:
    """
    Whether there is a vault for every pseudonym.

    Raises:
        ConfigError: There is not.
    """
    if vault is None and any(isinstance(operator, Pseudonym) and operator.vault is None for operator in operators):
        raise ConfigError('MaskPII(operators={...: "pseudonym"}) needs vault=, such as vault=Vault()')
