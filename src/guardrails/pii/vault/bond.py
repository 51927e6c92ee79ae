"""
Masking for one person: tokens of their own, their own data let through, and what came back restored.

1. What is typed that looks like a token gets a token itself, so that it comes back as it was typed.
2. A value that belongs to somebody else refuses the message; one's own passes only to verified addresses of one's own.
3. What a model writes into an argument of a tool, or into a web address, stays a token unless that was granted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from guardrails.core.message import HANDOFF, Message
from guardrails.errors import Blocked, ConfigError
from guardrails.pii.failures import wordless
from guardrails.pii.operators import Operator
from guardrails.pii.reader import Examiner
from guardrails.pii.stream import Masking
from guardrails.pii.vault.person import Names, Person
from guardrails.pii.vault.pseudonym import Pseudonym
from guardrails.pii.vault.restorer import Restorer
from guardrails.pii.vault.session import TOKEN, typed
from guardrails.pii.vault.vault import Vault
from guardrails.pii.vault.web import Address

RESTORABLE: Final = frozenset({"links", "tools"})
_NAME: Final = re.compile(r"[\w-]+")
_JOINED: Final = str.maketrans("", "", "_-")
# How APIs of models call what a tool is called with.
_OF_TOOLS: Final = frozenset(
    [
        "toolcall",
        "toolcalls",
        "functioncall",
        "functioncalls",
        "tooluse",
        "toolinput",
        "partialjson",
        "arguments",
        "args",
        "input",
    ]
)


@dataclass(frozen=True, slots=True)
class _InScope:
    """The operator of one entity, for one text of one person."""

    operator: Operator
    bond: Bond
    address: Address
    names: Names | None

    def apply(self, entity: str, value: str, /) -> str:
        if self.bond.lesson is not None:
            self.bond.lesson.hear(entity, value)
        if self.names is not None and self._passes(entity, value, self.names):
            return value
        if isinstance(self.operator, Pseudonym) and self.operator.vault is None:
            return self.bond.person.session.issued(entity, value, self.address.within)
        return self.operator.apply(entity, value)

    def _passes(self, entity: str, value: str, names: Names) -> bool:
        try:
            names.found(entity, value)
            return self.bond.person.owns(value) and self.bond.own == "keep"
        except Blocked as error:
            reason = error.reason
        raise Blocked(reason, findings={entity: 1})


@final
class Lesson:
    """
    What an inbound message says about the person who sent it.

    Args:
        person: Who sent it.
        entities: What is learned.
    """

    __slots__ = ("_entities", "_person", "_values")

    def __init__(self, person: Person, entities: Collection[str]) -> None:
        self._person = person
        self._entities = frozenset(entities)
        self._values: dict[str, None] = {}

    def hear(self, entity: str, value: str) -> None:
        """Keep a value in mind."""
        if entity in self._entities:
            self._values[value] = None

    def __bool__(self) -> bool:
        return bool(self._values)

    @wordless
    def learn(self) -> None:
        """Register it as the sender's own, if the address is verified as theirs."""
        self._person.learn(list(self._values))


@final
@dataclass(frozen=True, slots=True)
class Bond:
    """
    What the vault knows of whom a message is about, and what may be done with it.

    Args:
        person: Whom it is about.
        own: What becomes of their own data: "keep" or "mask"; None for not asking.
        restore_into: Where else than in texts values come back: of `RESTORABLE`.
        lesson: What the message says about its sender, where that is to be learned.
        escapes: Whether tokens in the text are text that somebody typed.
    """

    person: Person
    own: str | None
    restore_into: Collection[str]
    lesson: Lesson | None = None
    escapes: bool = True

    @property
    def sealing(self) -> Bond:
        """For text that changed on its way: its tokens are tokens."""
        return replace(self, escapes=False, lesson=None)

    @property
    def replies(self) -> Bond:
        """For what comes back to the caller, who is none of the subjects."""
        return replace(self, escapes=False, own=None, lesson=None)

    def masking(self, examiner: Examiner, operators: Mapping[str, Operator]) -> Masking:
        """The masking of one text."""
        address = Address()
        names = None if self.own is None else Names(self.person)
        scoped: dict[str, Operator] = {
            entity: _InScope(operator, self, address, names) for entity, operator in operators.items()
        }
        scoped[TOKEN] = _InScope(Pseudonym(), replace(self, lesson=None), address, None)

        def reads(text: str) -> None:
            address.read(text)
            if names is not None:
                names.read(text)

        if self.escapes:
            return Masking(examiner.beside(also=typed), scoped, reads)
        return Masking(examiner.beside(atoms=self.person.session.spans), scoped, reads)

    def restorer(self, way: Sequence[object]) -> Restorer:
        """Restores a text at the end of *way*: names of fields and keys, or paths of such names."""
        return Restorer(self.person.session, links="links" in self.restore_into, calls=_calls_a_tool(way))

    def restores_at(self, way: Sequence[object]) -> bool:
        """Whether values come back where *way* leads: not into what a tool is called with, unless that is granted."""
        return "tools" in self.restore_into or not _calls_a_tool(way)


def _calls_a_tool(way: Sequence[object]) -> bool:
    names = (name for one in way if isinstance(one, str) for name in _NAME.findall(one))
    return any(name.lower().translate(_JOINED) in _OF_TOOLS for name in names)


def bond(
    vault: Vault, message: Message, *, own: str | None, restore_into: Collection[str], learn: Collection[str], dry: bool
) -> Bond:
    """What *vault* knows of whom *message* is about; with *dry* nothing is written."""
    person = vault.person(message, dry=dry)
    hears = learn and message.direction == "inbound" and not dry
    # What is handed over was masked where it was said: its tokens are tokens.
    escapes = message.channel != HANDOFF
    return Bond(person, own, restore_into, Lesson(person, learn) if hears else None, escapes)


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
