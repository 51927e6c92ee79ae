"""Who a message is for, as one text per person; whoever cannot be told apart for sure is refused."""

from __future__ import annotations

from collections.abc import Sequence

from guardrails.address import Address, normalise
from guardrails.core.message import Message
from guardrails.errors import ControlError, Denied


def person(address: str, *, region: str | None, opaque_ids: bool) -> str | None:
    """One text for every spelling of *address*; None when it is no address, and ids are not taken as they are."""
    found = parsed(address, region=region)
    return f"{found.kind} {found.value}" if found.parsed or opaque_ids else None


def parsed(address: str, *, region: str | None) -> Address:
    """The address, normalised."""
    return normalise(address, region=region)


def people(message: Message, *, region: str | None, opaque_ids: bool) -> list[str]:
    """
    Every recipient of *message*.

    Raises:
        ControlError: It has none.
        Denied: One of them is no address.
    """
    if not message.recipients:
        raise ControlError("this message has no recipient; name the parameter that holds it, with recipient=")
    found = []
    for position, address in enumerate(message.recipients, 1):
        one = person(address, region=region, opaque_ids=opaque_ids)
        if one is None:
            raise Denied(f"recipient {place(position, message)} is neither a phone number with + nor an e-mail address")
        found.append(one)
    return found


def place(position: int, message: Message) -> str:
    """Which recipient, in words."""
    return f"{position} of {len(message.recipients)}"


def joined(*fields: str | None) -> str:
    """Fields as one text that no other fields give."""
    return "".join("-;" if one is None else f"{len(one)}:{one};" for one in fields)


def has_roles(message: Message, roles: Sequence[str]) -> bool:
    """Whether *message* has everything that is counted by."""
    return all(message.recipients if role == "recipient" else getattr(message, role) is not None for role in roles)


def fields_of(message: Message, roles: Sequence[str], scope: str, rule: str) -> list[str | None]:
    """
    What is counted besides recipients, as fields of a counter's identity.

    Raises:
        ControlError: The message lacks one of *roles*.
    """
    fields: list[str | None] = [message.tenant] if scope == "tenant" and "tenant" not in roles else []
    for role in roles:
        if role == "recipient":
            continue
        value: str | None = getattr(message, role)
        if value is None:
            raise ControlError(
                f"{rule} counts by {role}, and this message has none; name the parameter that holds it, or set it with "
                "guardrails.context()"
            )
        if role == "sender":
            found = normalise(value)
            value = f"{found.kind} {found.value}"
        fields.append(value)
    return fields
