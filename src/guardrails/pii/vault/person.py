"""Whoever one message is about: their tokens, whose values are whose, and what they say about themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, final

from guardrails.errors import Blocked

if TYPE_CHECKING:
    from guardrails.core.message import Message
    from guardrails.pii.vault.addresses import About
    from guardrails.pii.vault.belongings import Belongings
    from guardrails.pii.vault.session import Session

_NAME: Final = "PERSON"
_BESIDE: Final = re.compile(r"[\s,/|\u0300-\u036f-]{1,4}")  # between the parts of a name: "Smith, Ann"


@final
class Person:
    """
    One subject, as far as one message is concerned.

    Args:
        session: Their tokens.
        about: Says who they are, and to whom the message goes.
        belongings: What is known to be somebody's.
        message: The message.
    """

    __slots__ = ("_about", "_belongings", "_inbound", "_tenant", "session")

    def __init__(self, session: Session, about: Callable[[], About], belongings: Belongings, message: Message) -> None:
        self.session: Final = session
        self._about = about
        self._belongings = belongings
        self._tenant = message.tenant
        self._inbound = message.direction == "inbound"

    def owns(self, value: str) -> bool:
        """
        Whether *value* is theirs, and the message goes to nobody else.

        Raises:
            Blocked: It is somebody else's.
        """
        owners = self._belongings.owners(value, self._tenant)
        if owners:
            return self._are_mine(owners)
        self.refuse(value)
        return False

    def refuse(self, value: str) -> None:
        """
        Refuse *value* if it looks like somebody else's.

        Raises:
            Blocked: It does.
        """
        self._are_mine(self._belongings.likely_owners(value, self._tenant))

    def learn(self, values: Collection[str]) -> None:
        """Register what they wrote about themselves, if their address is verified."""
        about = self._about()
        if about.verified:
            self._belongings.learn(about.subject, values, self._tenant)

    def _are_mine(self, owners: set[str]) -> bool:
        if not owners:
            return False
        about = self._about()
        mine = not owners.isdisjoint(self._belongings.ids_of(about.subject, self._tenant))
        if mine and not about.elsewhere:
            return about.verified
        if self._inbound:  # what a person writes about others reaches nobody: it is masked
            return False
        raise Blocked("other_subject")


@final
class Names:
    """
    What stands side by side in a text and makes a name together.

    Args:
        person: Whom the text is about.
    """

    __slots__ = ("_between", "_last", "_person", "_skips")

    def __init__(self, person: Person) -> None:
        self._person = person
        self._last = ""
        self._between = ""
        self._skips = False

    def read(self, text: str) -> None:
        """Go on with *text*, which is what `found` was just told, or stands between."""
        if self._skips:
            self._skips = False
        elif self._last:
            self._between += text[:8]

    def found(self, entity: str, value: str) -> None:
        """
        A value was found here.

        Raises:
            Blocked: With the one before it, it is somebody else's name.
        """
        last, self._last = self._last, value if entity == _NAME else ""
        between, self._between = self._between, ""
        self._skips = True
        if last and entity == _NAME and _BESIDE.fullmatch(between):
            self._person.refuse(f"{last} {value}")
