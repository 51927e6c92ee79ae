"""
One person, across everything that a policy's controls keep: what is known of them, and its removal.

What stays, and why: the audit log is never changed; it holds keyed digests of addresses, and no text. Counters of limits are
keyed digests that end with their windows. Opt-outs stay unless somebody says otherwise: who has opted out wants no messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from guardrails.audit import read_records
from guardrails.audit.lookup import Lookup
from guardrails.core.stack import Monitored
from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.policy.values import Rate
from guardrails.policy.version import Version
from guardrails.ratelimit import Suppression

_SHARED = "only in the memory of the processes that send"


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
        All that is kept of them: values in the vault, opt-outs, and the records of their messages.

        Raises:
            GuardrailsError: A store cannot be read.
        """
        vault = self._version.controls.vault()
        values = vault.values(self._subject, tenant=self._tenant) if vault is not None and self._subject else []
        return {
            "subject": self._subject,
            "tenant": self._tenant,
            "vault": [{"entity": entity, "value": value} for entity, value in values],
            "opt_outs": [{"address": address, "channel": channel} for address, channel in self._opted_out()],
            "records": list(self._records()),
            "limits": self._limits(),
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
        rows = vault.forget(self._subject, tenant=self._tenant) if vault is not None and self._subject else 0
        if vault is not None:
            for address in self._addresses:
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
            "records_that_stay": sum(1 for _ in self._records()),
            "limits": self._limits(),
        }

    def _channels(self) -> list[str]:
        return [*self._version.known("channels"), "other"]

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
        audit = self._version.controls.audit()
        folder = getattr(audit, "folder", None)
        if folder is None or not folder.is_dir() or not self._addresses:
            return
        lookup = Lookup.of(self._version.controls.keys() or Keys.default(), self._tenant)
        wanted = {label for one in self._addresses for label in lookup.labels("recipient", one)}
        sends: set[object] = set()
        for record in read_records(folder):
            if record.get("stage") == "outcome":
                if record.get("send_id") in sends:
                    yield record
            elif _is_for(record, wanted):
                sends.add(record.get("send_id"))
                yield record

    def _limits(self) -> str:
        holds, own = self._version.effective(channel=None, tenant=self._tenant, team=None)
        windows = [Rate(one.rate).window_seconds for one in _limits_of(self._version, holds, own) if one.rate]
        if not windows:
            return "none"
        stores = self._version.platform.stores
        kept = _SHARED if stores is None or stores.limits is None else "in the store"
        return f"counters are keyed digests, {kept}; the last ends {max(windows)} s after the last message"


def _limits_of(version: Version, *layers: Any) -> Iterator[Any]:
    for layer in (*layers, *version.known("channels").values(), *version.known("teams").values()):
        yield from (layer.limits or {}).values()


def _is_for(record: dict[str, Any], wanted: Iterable[str]) -> bool:
    recipients = record.get("recipients")
    return isinstance(recipients, list) and any(
        isinstance(one, dict) and one.get("digest") in set(wanted) for one in recipients
    )
