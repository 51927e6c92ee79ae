"""
One person, across everything that a policy's controls keep: what is known of them, and its removal.

What stays, and why: the audit log is never changed; it holds keyed digests of addresses, and no text. Counters that count more
than the person (of a tenant, a conversation, a sender) and those in the memory of other processes end with their windows.
Opt-outs stay unless somebody says otherwise: who has opted out wants no messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from guardrails.audit import read_records
from guardrails.audit.lookup import Lookup
from guardrails.core.message import Message
from guardrails.core.stack import Monitored, Slot
from guardrails.errors import ConfigError, Denied
from guardrails.keys import Keys
from guardrails.policy.model import Audit
from guardrails.policy.stacks import Stacks
from guardrails.policy.version import Version
from guardrails.ratelimit import Cap, Concurrency, RateLimit, Suppression, UniqueRecipients, Use


class Subject:
    """
    A person.

    Args:
        version: The policy.
        subject: Your id of the person, as in `vault.link` and `vault.own`; None to look by address only.
        addresses: Phone numbers and e-mail addresses of theirs.
        tenant: Of which tenant.

    Raises:
        ConfigError: There is neither an id nor an address.
    """

    def __init__(self, version: Version, *, subject: str | None, addresses: Sequence[str], tenant: str | None) -> None:
        if subject is None and not addresses:
            raise ConfigError("name a subject, or give addresses, one a line")
        self._version = version
        self._subject = subject
        self._addresses = list(addresses)
        self._tenant = tenant

    def export(self) -> dict[str, Any]:
        """
        All that is kept of them: values in the vault, opt-outs, what they have used of limits, the records of their messages.

        Raises:
            GuardrailsError: A store cannot be read.
        """
        return {
            "subject": self._subject,
            "tenant": self._tenant,
            "vault": [{"entity": entity, "value": value} for entity, value in self._values()],
            "opt_outs": [{"address": address, "channel": channel} for address, channel in self._opted_out()],
            "limits": [counted.as_dict() for counted in self._counted()],
            "records": list(self._records()),
        }

    def forget(self, *, opt_outs: bool = False) -> dict[str, Any]:
        """
        Remove what can be removed; says what stays.

        Args:
            opt_outs: Also take them off the list of people who want no messages.

        Raises:
            GuardrailsError: A store cannot be written.
        """
        vault = self._version.controls.vault()
        rows = 0
        if vault is not None:
            if self._subject is not None:
                rows += vault.forget(self._subject, tenant=self._tenant)
            for address in self._addresses:
                if self._subject is None or vault.linked(address, self._tenant) is None:
                    rows += vault.forget_address(address, tenant=self._tenant)
                else:  # somebody else's, as far as the vault knows
                    vault.unlink(address, tenant=self._tenant)
        suppression = self._suppression()
        gone = 0
        if opt_outs and suppression is not None:
            for address in self._addresses:
                for channel in (None, *self._channels()):
                    gone += suppression.remove(address, tenant=self._tenant, channel=channel)
        return {
            "vault_rows": rows,
            "opt_outs": gone,
            "opt_outs_that_stay": len(list(self._opted_out())),
            "counters": sum(counted.forget() for counted in list(self._counted())) + self._left(),
            "limits_that_stay": self._uncounted(),
            "records_that_stay": sum(1 for _ in self._records()),
        }

    def _values(self) -> list[tuple[str, str]]:
        """Entity and value of what is in the vault: of their id, or of whoever their addresses stand for."""
        vault = self._version.controls.vault()
        if vault is None:
            return []
        found = [
            vault.values_of_address(address, tenant=self._tenant)
            for address in self._addresses
            if self._subject is None or vault.linked(address, self._tenant) is None
        ]
        if self._subject is not None:
            found.append(vault.values(self._subject, tenant=self._tenant))
        return list(dict.fromkeys(one for each in found for one in each))

    def _channels(self) -> list[str]:
        return list(dict.fromkeys((*self._version.known("channels"), self._version.channel)))

    def _suppression(self) -> Suppression | None:
        holds, _ = self._version.effective(channel=None, tenant=self._tenant, team=None)
        if holds.suppression is None:
            return None
        made = self._version.controls.suppression(holds.suppression)
        control = made.control if isinstance(made, Monitored) else made
        return control if isinstance(control, Suppression) else None

    def _opted_out(self) -> Iterator[tuple[str, str]]:
        suppression = self._suppression()
        for address in self._addresses if suppression is not None else ():
            for channel in self._channels():
                if suppression is not None and suppression.has(address, tenant=self._tenant, channel=channel):
                    yield address, channel

    def _records(self) -> Iterator[dict[str, Any]]:
        """Their messages' intents and decisions, and what became of them."""
        folders = self._folders()
        if not folders or not self._addresses:
            return
        lookup = Lookup.of(self._version.controls.keys() or Keys.default(), self._tenant)
        wanted = {label for one in self._addresses for label in lookup.labels("recipient", one)}
        sends: set[object] = set()
        seen: set[tuple[object, object]] = set()  # a log with several sinks has each record several times
        for record in (record for folder in folders for record in read_records(folder)):
            if record.get("stage") == "outcome":
                found = record.get("send_id") in sends
            else:
                found = _is_for(record, wanted)
                if found:
                    sends.add(record.get("send_id"))
            place = record.get("stream"), record.get("seq")
            if found and place not in seen:
                seen.add(place)
                yield record

    def _folders(self) -> list[Path]:
        """Folders of every audit log that their messages may be in."""
        found: dict[Path, None] = {}
        for channel in (None, *self._version.known("channels")):
            for team in (None, *self._version.known("teams")):
                holds, _ = self._version.effective(channel=channel, tenant=self._tenant, team=team)
                places = [one.folder for one in (holds.audit.sinks or {}).values()] if holds.audit is not None else []
                if isinstance(holds.audit, Audit):
                    places = [holds.audit.folder, holds.audit.emergency, *places]
                for place in places:
                    if place is not None and (path := Path(self._version.controls.path(place))).is_dir():
                        found[path] = None
        return list(found)

    # -- limits ----------------------------------------------------------------------------------------------------------

    def _counted(self) -> Iterator[Counted]:
        """What counts the person alone, on every channel and for every team; each counter once."""
        seen: set[tuple[int, str, str, str]] = set()
        for slot, message in self._asked():
            control: Any = slot.control
            try:
                used: list[Use] = control.usage(message, layer=slot.layer)
            except Denied:  # no address, as rules for people know them: they never counted it
                continue
            for one in used:
                roles = one.scope.split("+")
                key = (id(control), one.limit, message.recipients[0], message.channel if "channel" in roles else "")
                if one.used and "recipient" in roles and key not in seen:
                    seen.add(key)
                    yield Counted(slot, message, one)

    def _left(self) -> int:
        """Take the person out of counts of different people; how many they were in."""
        gone = 0
        for slot, message in self._asked():
            if isinstance(slot.control, UniqueRecipients):
                with suppress(Denied):
                    gone += slot.control.reset(message, layer=slot.layer)
        return gone

    def _asked(self) -> Iterator[tuple[Slot, Message]]:
        for channel, slot in self._slots():
            for address in self._addresses:
                yield slot, Message({}, channel=channel, recipients=address, tenant=self._tenant)

    def _slots(self) -> Iterator[tuple[str, Slot]]:
        stacks = Stacks(self._version, None)
        for channel in self._channels():
            for team in (None, *self._version.known("teams")):
                for slot in stacks.of(channel=channel, tenant=self._tenant, team=team).slots:
                    if callable(getattr(slot.control, "usage", None)) and callable(getattr(slot.control, "reset", None)):
                        yield channel, slot

    def _uncounted(self) -> list[str]:
        """Limits whose counters of the person cannot be told from here, and why."""
        stays: dict[str, None] = {}
        for _, slot in self._slots():
            control: Any = slot.control
            if getattr(control, "per_process", False):
                stays[f"{slot.name}: counts in the memory of each process that sends"] = None
            for label, roles in roles_of(control):
                lacking = [role for role in roles if role in ("conversation", "actor", "sender")]
                if "recipient" in roles and lacking:
                    stays[f"{label}: counts by {'+'.join(roles)}"] = None
        return list(stays)


class Counted(NamedTuple):
    """
    A counter of the person.

    Args:
        slot: The control that counts.
        message: One that is counted there.
        use: What is used.
    """

    slot: Slot
    message: Message
    use: Use

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        use = self.use
        facts = {"control": self.slot.name, "layer": self.slot.layer, "channel": self.message.channel}
        return facts | {"limit": use.limit, "scope": use.scope, "used": use.used, "amount": use.amount}

    def forget(self) -> int:
        """Forget it; how many counters had anything."""
        control: Any = self.slot.control
        forgotten: int = control.reset(self.message, layer=self.slot.layer, limit=self.use.limit)
        return forgotten


def roles_of(control: object) -> Iterator[tuple[str, Sequence[str]]]:
    """What each limit of a control counts by."""
    match control:
        case RateLimit():
            yield from ((limit.label, limit.roles) for limit in control.limits)
        case Concurrency():
            yield control.limit.label, control.limit.roles
        case Cap():
            yield control.name, control.roles
        case UniqueRecipients():
            yield control.name, ("recipient", *control.roles)
        case _:
            return


def _is_for(record: dict[str, Any], wanted: Iterable[str]) -> bool:
    recipients = record.get("recipients")
    return isinstance(recipients, list) and any(
        isinstance(one, dict) and one.get("digest") in set(wanted) for one in recipients
    )
