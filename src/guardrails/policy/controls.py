"""
The controls that settings mean, each made once and shared by every guard of the policy.

Equal settings give the same object, also across a reload: an audit log goes on in its stream, and counters, opt-outs and
tokens are kept. A limit with another rate is another object over the same counters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from guardrails.core.caps import Caps
from guardrails.core.checks import monitor
from guardrails.core.control import Control
from guardrails.core.stack import Monitored
from guardrails.keys import Epochs, Keys
from guardrails.keys.epochs import epochs_from_environment
from guardrails.keys.several import keys_of
from guardrails.pii.vault.vault import Vault
from guardrails.policy import model
from guardrails.policy.custom import control_named
from guardrails.policy.directions import tightness_of
from guardrails.policy.making.audit import AUDIT, AuditMaker
from guardrails.policy.making.limits import (
    lease,
    limit_of,
    person_cap,
    quiet_hours,
    unique_recipients,
)
from guardrails.policy.making.mask import MASK, looks_for_more, mask_of
from guardrails.policy.objects import function_or_text
from guardrails.policy.secret import Secret
from guardrails.ratelimit import Concurrency, Limit, RateLimit, Suppression
from guardrails.ratelimit.people.counted import MAX_KEYS, Kept, kept_in
from guardrails.ratelimit.people.storage import MOST_SECONDS

if TYPE_CHECKING:
    from guardrails.audit import AuditLog
    from guardrails.pii import MaskPII
    from guardrails.policy.setting import Settings

__all__ = ["AUDIT", "LIMITS", "MASK", "SUPPRESSION", "Controls", "fingerprint", "own_name"]

T = TypeVar("T")
MEMORY: Final = "memory://"
DEADLINE_SECONDS: Final = 5.0
SUPPRESSION, LIMITS = "suppression", "rate_limit"  # names in records
_CONNECTIONS: Final = 4
_OPTIONS: Final = {
    "timeout": "timeout_seconds",
    "most_connections": "max_connections",
    "plaintext_hosts": "plaintext_hosts",
    "most_keys": "max_keys",
    "replicas": "replicas",
    "keep": "keep_seconds",
    "most_values": "most_values",
}

_LASTING: Final = ("counters", "leases", "rows", "opt-outs", "vault", "keys")  # what remembers something


class Controls:
    """
    Makes the controls of one version of a policy.

    Args:
        platform: The platform's settings: keys, stores and audit are its alone.
        folder: What relative paths start from: the policy file's folder.
        before: The version that this one follows; what is equal is taken from there.
        tried: Whether nothing will be sent: files of stores that do not exist stay so, and memory answers as they would.
    """

    def __init__(
        self, platform: model.Platform, folder: Path, before: Controls | None = None, *, tried: bool = False
    ) -> None:
        self._tried = tried
        self._platform = platform
        self._folder = folder
        self._before = before
        self._made: dict[tuple[Hashable, ...], Any] = {}
        if before is not None:  # also those that no settings ask for yet: a tenant's first message may come later
            self._made |= {key: one for key, one in before._made.items() if key[0] in _LASTING}  # noqa: SLF001 - same class
        self._lock = threading.RLock()

    def forget_before(self) -> None:
        """Let go of the version before: nothing more is taken from it."""
        self._before = None

    def made(self) -> Iterator[Any]:
        """Everything that has been made, or taken over."""
        return iter(list(self._made.values()))

    def _once(self, key: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        with self._lock:
            if key not in self._made:
                before = self._before
                known = before._made.get(key) if before is not None else None  # noqa: SLF001 - same class
                self._made[key] = make() if known is None else known
            return self._made[key]  # type: ignore[no-any-return]

    # -- what only the platform has -------------------------------------------------------------------------------------

    def caps(self) -> Caps:
        """Bounds on one message."""
        given = dict(self._platform.caps.said()) if self._platform.caps is not None else {}
        return Caps(**given)

    def keys(self) -> Keys | None:
        """The master key, if the policy names it."""
        settings = self._platform.keys
        if settings is None or not settings.master:
            return None
        named, folder = settings.master, self._folder

        def make() -> Keys:
            kept = settings.epochs
            days = {} if kept is None or kept.days is None else {"days": kept.days}
            epochs = epochs_from_environment() if kept is None else Epochs(self.path(kept.folder or ""), **days)
            return Keys(lambda: [key for one in named for key in keys_of(one.reveal(folder))], epochs=epochs)

        return self._once(("keys", fingerprint(settings)), make)

    def audit(self, settings: model.Recording | None) -> AuditLog | None:
        """The audit log; every channel, tenant and team that says the same shares it."""
        if settings is None:
            return None
        maker = AuditMaker(self.keys(), self.path, self.revealed)
        return self._once(("audit", fingerprint(settings), self._key()), lambda: maker.log(settings))

    def platform_audit(self) -> AuditLog | None:
        """The platform's own."""
        return self.audit(self._platform.audit)

    def revealed(self, secret: Secret) -> str:
        """A secret of the policy file."""
        return secret.reveal(self._folder)

    def path(self, text: str) -> str:
        """A path of the policy file."""
        return os.fspath(self._folder / text)

    def _key(self) -> Hashable:
        return fingerprint(self._platform.keys)

    def _store(self, settings: model.Store | None) -> tuple[str, dict[str, Any]]:
        """Address of a store, and its options as controls call them."""
        if settings is None or settings.url is None:
            return MEMORY, {}
        said = dict(settings.said())
        return self._address(settings.url), {option: said[name] for name, option in _OPTIONS.items() if name in said}

    def _address(self, url: Secret) -> str:
        address = url.reveal(self._folder)
        kind, slashes, rest = address.partition(":///")
        if kind != "sqlite" or not slashes or not rest:
            return address
        file = Path(self.path(rest))
        return MEMORY if self._tried and file.parent.is_dir() and not file.exists() else f"sqlite:///{file}"

    @property
    def _stores(self) -> model.Stores:
        return self._platform.stores or model.Stores()

    def vault(self) -> Vault | None:
        """The vault, if the policy names its store."""
        settings = self._stores.vault
        if settings is None:
            return None

        def make() -> Vault:
            address, options = self._store(settings)
            if settings.keys_in is not None:
                options["keys_in"] = self._address(settings.keys_in)
            return Vault(address, keys=self.keys() if address != MEMORY else None, **options)

        return self._once(("vault", fingerprint(settings), self._key()), make)

    # -- what layers tighten and add -------------------------------------------------------------------------------------

    def suppression(self, settings: model.Suppression) -> Control | Monitored:
        """The list of people who have opted out."""
        made = self._once(
            ("suppression", fingerprint(settings), fingerprint(self._platform.stores), self._key()),
            lambda: self._suppression(settings),
        )
        return monitor(made) if settings.mode == "monitor" else made

    def _suppression(self, settings: model.Suppression) -> Suppression:
        people = self._once(("opt-outs", fingerprint(self._stores.suppression), self._key()), self._opt_outs)
        asked = settings.message_class
        return people.with_rules(
            region=settings.region,
            opaque_ids=bool(settings.opaque_ids),
            exempt=tuple(settings.exempt or ()),
            message_class=None if asked is None else function_or_text(asked),
        )

    def _opt_outs(self) -> Suppression:
        address, options = self._store(self._stores.suppression)
        keys = Keys.ephemeral() if address == MEMORY else self.keys()
        return Suppression(address, keys=keys, name=SUPPRESSION, **options)

    def quiet_hours(self, name: str, settings: model.QuietHours) -> Control | Monitored:
        """Hours in which nothing is sent."""
        return self._ruled("quiet_hours", name, settings, lambda: quiet_hours(name, settings))

    def person_cap(self, name: str, settings: model.PersonCap) -> Control | Monitored:
        """Messages to a person by calendar, over the rows of the policy."""
        return self._ruled("person_caps", name, settings, lambda: person_cap(name, settings, self._rows()))

    def unique_recipients(self, name: str, settings: model.UniqueRecipients) -> Control | Monitored:
        """How many different people, over the rows of the policy."""
        return self._ruled("unique_recipients", name, settings, lambda: unique_recipients(name, settings, self._rows()))

    def concurrency(self, name: str, settings: model.Concurrency) -> Control | Monitored:
        """Sends at once, over the leases of the policy."""
        limit = lease(name, settings)

        def make() -> Concurrency:
            leases = self._once(("leases", self._store_key("limits")), self._leases)
            return leases.with_lease(limit, name=name, wait=settings.wait or None)

        return self._ruled("concurrency", name, settings, make)

    def _ruled(self, section: str, name: str, settings: Any, make: Callable[[], Control]) -> Control | Monitored:
        acting = fingerprint(settings.model_copy(update={"mode": None}))
        store = self._store_key("limits" if section == "concurrency" else "people")
        made = self._once((section, name, acting, store), make)
        return monitor(made) if settings.mode == "monitor" else made

    def _rows(self) -> Kept:
        return self._once(("rows", self._store_key("people")), self._kept)

    def _kept(self) -> Kept:
        address, options = self._store(self._stores.people)
        usual = {
            "max_keys": MAX_KEYS,
            "timeout_seconds": MOST_SECONDS,
            "max_connections": _CONNECTIONS,
            "plaintext_hosts": (),
        }
        keys = Keys.ephemeral() if address == MEMORY else self.keys()
        return kept_in(address, keys, rule="people", **{**usual, **options})

    def limits(
        self, settings: Mapping[str, model.Limit], *, refund_on: Sequence[type[BaseException]] = (), team: str | None = None
    ) -> Iterator[Control | Monitored]:
        """Limits that act, then limits that only watch; over the counters of the policy."""
        for watching in (False, True):
            chosen = {name: one for name, one in settings.items() if (one.mode == "monitor") is watching}
            if chosen:
                key = ("limits", team, watching, fingerprint(dict(chosen)), tuple(refund_on), self._store_key("limits"))
                made = self._once(key, lambda chosen=chosen: self._limits(chosen, refund_on, team))  # type: ignore[misc]
                yield monitor(made) if watching else made

    def _store_key(self, what: str) -> Hashable:
        return fingerprint(getattr(self._stores, what)), self._key()

    def _limits(
        self, settings: Mapping[str, model.Limit], refund_on: Sequence[type[BaseException]], team: str | None
    ) -> RateLimit:
        limits = [limit_of(own_name(name, team), one) for name, one in settings.items()]
        counters = self._once(("counters", self._store_key("limits")), lambda: self._counters(limits))
        return counters.with_limits(*limits, refund_on=refund_on)

    def _counters(self, limits: list[Limit]) -> RateLimit:
        keys, options = self._counting()
        return RateLimit(*limits, keys=keys, name=LIMITS, **options)

    def _leases(self) -> Concurrency:
        keys, options = self._counting()
        return Concurrency(1, keys=keys, **options)

    def _counting(self) -> tuple[Keys | None, dict[str, Any]]:
        """Keys and options of what counts in the store of limits."""
        address, options = self._store(self._stores.limits)
        # In memory the key is the process's, as without a policy.
        return None if address == MEMORY else self.keys(), {**options, "storage": address}

    def mask(self, settings: model.Mask) -> Control | Monitored:
        """The control that masks."""
        made = self._mask(settings.model_copy(update={"mode": None}))
        return monitor(made) if settings.mode == "monitor" else made

    def _mask(self, settings: model.Mask) -> MaskPII:
        vault = self.vault()
        above = self._platform.mask

        def make() -> MaskPII:
            made = mask_of(settings, vault=vault, keys=self.keys, path=self.path)
            if above is None or not looks_for_more(above, settings):
                return made
            return made.beneath(self._mask(above.model_copy(update={"mode": None})), partial(tightness_of, settings))

        return self._once(("mask", fingerprint(settings), id(vault), self._key(), fingerprint(above)), make)

    def check(self, name: str, settings: model.Check) -> Control | Monitored:
        """A control of somebody's own."""
        made = self._once(
            ("check", name, fingerprint(settings.model_copy(update={"mode": None}))),
            lambda: control_named(
                settings.use or "",
                name=name,
                settings=settings.settings,
                deadline_seconds=settings.deadline if settings.deadline is not None else DEADLINE_SECONDS,
            ),
        )
        return monitor(made) if settings.mode == "monitor" else made


def own_name(name: str, team: str | None) -> str:
    """A name that no other team has: of what counts, and in records."""
    return name if team is None else f"{team}:{name}"


def fingerprint(value: Any) -> Hashable:
    """Settings as something that equal settings, and no others, are equal to."""
    if isinstance(value, dict):
        return ("dict", *((key, fingerprint(one)) for key, one in value.items()))  # the order of controls counts
    if isinstance(value, list | tuple):
        return ("list", *map(fingerprint, value))
    if hasattr(value, "said"):
        settings: Settings = value
        return (type(settings).__name__, *((name, fingerprint(one)) for name, one in settings.said()))
    if is_dataclass(value):
        return (type(value).__name__, *(fingerprint(getattr(value, field.name)) for field in fields(value)))
    return (type(value).__name__, value)
