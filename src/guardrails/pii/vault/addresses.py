"""Whose an address is, or a conversation, and so whom a message is about."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, final

from guardrails.address import normalise
from guardrails.errors import Blocked
from guardrails.pii.failures import SpeakableError
from guardrails.pii.vault.rows import id_of
from guardrails.pii.vault.scope import seal, unseal

if TYPE_CHECKING:
    from guardrails.core.message import Message
    from guardrails.pii.vault.rows import Rows

# A subject is known by the id that a team gave, else by an address or a conversation.
SUBJECT: Final = "subject:"
_ADDRESS: Final = "address:"  # whoever is known by an address alone
_CONVERSATION: Final = "conversation:"
_TO: Final = "to"
_LINKS: Final = "links"
_MOST_LINKS: Final = 10_000  # of one subject
_NO_SUBJECT: Final = "nobody says whose data this is: the call needs a recipient or a conversation"


class About(NamedTuple):
    """
    Whom a message is about.

    Args:
        subject: As the vault knows them.
        verified: Whether all its recipients are verified addresses of theirs.
        elsewhere: Whether one of its recipients is known to be somebody else.
    """

    subject: str
    verified: bool
    elsewhere: bool = False


@final
class Addresses:
    """
    Links from addresses and conversations to subjects.

    Args:
        rows: Where they are kept.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def link(self, place: str, tenant: str | None, *, subject: str, verified: bool, expires: datetime | None) -> None:
        """Say whose *place* is, until when."""
        rows = self._rows
        until = math.inf if expires is None else expires.timestamp()
        group = rows.groups(tenant, "l", place)[0]
        said = json.dumps([subject, verified]).encode("ascii")
        kept_by, listed = rows.groups(tenant, _LINKS, subject)[0], group.encode("ascii")
        rows.add(kept_by, id_of(group), listed, until=until, most=_MOST_LINKS)  # so that `forget` finds it
        rows.store.put(group, _TO, seal(rows.wrapping_keys(tenant)[0], said, group), until=until, now=rows.now())
        rows.store.put(kept_by, id_of(group), listed, until=until, now=rows.now())
        if older := rows.groups(tenant, "l", place)[1:]:
            rows.store.remove(*((one, _TO) for one in older))

    def unlink(self, place: str, tenant: str | None) -> None:
        """Forget whose *place* is."""
        self._rows.store.remove(*((group, _TO) for group in self._rows.groups(tenant, "l", place)))

    def linked(self, place: str, tenant: str | None) -> tuple[str, bool] | None:
        """Whose *place* is, and whether that was verified."""
        for group in self._rows.groups(tenant, "l", place):
            row = self._rows.row(group, _TO)
            if row is not None:
                subject, verified = json.loads(unseal(self._rows.wrapping_keys(tenant), row, group))
                return subject, verified
        return None

    def stands_for(self, place: str, tenant: str | None) -> str | None:
        """Whom an address stands for: by a verified link, or itself as long as there is none."""
        link = self.linked(place, tenant)
        if link is None:
            return _ADDRESS + place
        return link[0] if link[1] else None

    def forget(self, subject: str, tenant: str | None) -> int:
        """Forget all links to a subject, and how many; those that lead to somebody else by now stay."""
        rows = self._rows
        gone = 0
        for kept_by in rows.groups(tenant, _LINKS, subject):
            for key in rows.store.keys([kept_by], now=rows.now()):
                group = (rows.row(kept_by, key) or b"").decode("ascii", "replace")
                rows.store.remove((kept_by, key))  # first: who links it meanwhile lists it again
                gone += 1
                row = rows.row(group, _TO)
                if row is not None and self._leads_to(row, group, tenant) in (subject, None):
                    rows.store.remove((group, _TO))
        return gone

    def _leads_to(self, row: bytes, group: str, tenant: str | None) -> str | None:
        try:
            subject: str = json.loads(unseal(self._rows.wrapping_keys(tenant), row, group))[0]
        except SpeakableError:  # altered: nobody can use it
            return None
        return subject

    def about(self, message: Message) -> Callable[[], About]:
        """As `subject_of`, asked once, when it is needed."""
        known: list[About] = []

        def answer() -> About:
            if not known:
                known.append(self.subject_of(message))
            return known[0]

        return answer

    def subject_of(self, message: Message) -> About:
        """
        Whom a message is about, and to whom it goes.

        A linked conversation says it, else the recipients (the sender of an inbound message), else the conversation.

        Raises:
            Blocked: Nobody says it, or the recipients are several people.
        """
        tenant, conversation = message.tenant, message.conversation
        inbound = message.direction == "inbound"
        people = [message.sender] if inbound and message.sender else list(message.recipients)
        known = {place: self.linked(place, tenant) for place in map(_place_of_person, people)}
        subjects = {f"{_ADDRESS}{place}" if link is None else link[0] for place, link in known.items()}
        talk = None if conversation is None else self.linked(f"{_CONVERSATION}{conversation}", tenant)
        if talk is not None:
            subjects = {talk[0]}
        elif not subjects and conversation is not None:
            subjects = {f"{_CONVERSATION}{conversation}"}
        if not subjects:
            raise Blocked(_NO_SUBJECT)
        if len(subjects) > 1:
            raise Blocked("the recipients are several people, and a token is one person's: send to each by itself")
        subject = subjects.pop()
        verified = bool(known) and all(link is not None and link == (subject, True) for link in known.values())
        elsewhere = any(link is not None and link[0] != subject for link in known.values())
        return About(subject, verified, elsewhere)


def place_of(address: str) -> str:
    """One spelling of an address, or of `conversation:ID`."""
    if address[: len(_CONVERSATION)].lower() == _CONVERSATION:
        return _CONVERSATION + address[len(_CONVERSATION) :]
    return normalise(address).value


def _place_of_person(address: str) -> str:
    # Who may choose a sender's name must not name a conversation.
    place = normalise(address).value
    return _ADDRESS + place if place.startswith(_CONVERSATION) else place
