"""
The controls that settings mean, each made once and shared by every guard of the policy.

Equal settings give the same object, also across a reload: an audit log goes on in its stream, and counters, opt-outs and
tokens are kept. A limit with another rate is another object over the same counters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from guardrails.audit import AuditLog, DirectoryAnchor, Ed25519Signer
from guardrails.core.caps import Caps
from guardrails.core.checks import monitor
from guardrails.core.control import Control
from guardrails.core.stack import Monitored
from guardrails.keys import Keys
from guardrails.keys.several import keys_of
from guardrails.pii import MaskPII
from guardrails.pii.operators import Block, Keep, OperatorLike, Partial, Redact, Replace
from guardrails.pii.operators_keyed import Encrypt, Hash
from guardrails.pii.operators_synthetic import Synthetic
from guardrails.pii.registry import DEFAULT_ENTITIES
from guardrails.pii.vault.pseudonym import Pseudonym
from guardrails.pii.vault.vault import Vault
from guardrails.policy import model
from guardrails.policy.custom import control_named
from guardrails.policy.values import Operator, Secret
from guardrails.ratelimit import Limit, RateLimit, Suppression

if TYPE_CHECKING:
    from guardrails.policy.setting import Settings

T = TypeVar("T")
MEMORY: Final = "memory://"
DEADLINE_SECONDS: Final = 5.0
AUDIT, SUPPRESSION, LIMITS, MASK = "audit_log", "suppression", "rate_limit", "mask_pii"  # names in records

_LASTING: Final = ("counters", "opt-outs", "vault", "keys")  # what remembers something


class Controls:
    """
    Makes the controls of one version of a policy.

    Args:
        platform: The platform's settings: keys, stores and audit are its alone.
        folder: What relative paths start from: the policy file's folder.
        before: The version that this one follows; what is equal is taken from there.
    """

    def __init__(self, platform: model.Platform, folder: Path, before: Controls | None = None) -> None:
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
            return Keys(lambda: [key for one in named for key in keys_of(one.reveal(folder))])

        return self._once(("keys", fingerprint(settings)), make)

    def audit(self) -> AuditLog | None:
        """The audit log."""
        settings = self._platform.audit
        if settings is None:
            return None
        return self._once(("audit", fingerprint(settings), self._key()), lambda: self._audit(settings))

    def _audit(self, settings: model.Audit) -> AuditLog:
        options: dict[str, Any] = {}
        if settings.durability is not None:
            options["durability"] = settings.durability
        if settings.deadline is not None:
            options["deadline_seconds"] = settings.deadline
        if settings.checkpoint_every is not None:
            options["checkpoint_every"] = settings.checkpoint_every
        if settings.signer is not None:
            key_file, name = settings.signer.key_file or "", settings.signer.name or ""
            options["signer"] = Ed25519Signer(self.path(key_file), name=name)
        if settings.anchors is not None:
            options["anchors"] = [DirectoryAnchor(self.path(one)) for one in settings.anchors]
        return AuditLog(self.path(settings.folder or ""), keys=self.keys(), name=AUDIT, **options)

    def revealed(self, secret: Secret) -> str:
        """A secret of the policy file."""
        return secret.reveal(self._folder)

    def path(self, text: str) -> str:
        """A path of the policy file."""
        return os.fspath(self._folder / text)

    def _key(self) -> Hashable:
        return fingerprint(self._platform.keys)

    def _store(self, what: str) -> tuple[model.Store | None, str, dict[str, Any]]:
        """Settings, address and options of a store."""
        stores = self._platform.stores
        settings: model.Store | None = getattr(stores, what) if stores is not None else None
        if settings is None or settings.url is None:
            return None, MEMORY, {}
        address = settings.url.reveal(self._folder)
        kind, slashes, rest = address.partition(":///")
        if kind == "sqlite" and slashes:
            address = f"sqlite:///{self.path(rest)}"
        options: dict[str, Any] = {}
        for name, option in (("timeout", "timeout_seconds"), ("most_connections", "max_connections")):
            if getattr(settings, name) is not None:
                options[option] = getattr(settings, name)
        if settings.plaintext_hosts is not None:
            options["plaintext_hosts"] = settings.plaintext_hosts
        return settings, address, options

    def vault(self) -> Vault | None:
        """The vault, if the policy names its store."""
        stores = self._platform.stores
        if stores is None or stores.vault is None:
            return None
        settings = stores.vault

        def make() -> Vault:
            _, address, _ = self._store("vault")
            options: dict[str, Any] = {}
            if settings.keep is not None:
                options["keep_seconds"] = settings.keep
            if settings.most_values is not None:
                options["most_values"] = settings.most_values
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
        stores = self._platform.stores
        given = stores.suppression if stores is not None else None
        people = self._once(("opt-outs", fingerprint(given), self._key()), self._opt_outs)
        return people.with_rules(
            region=settings.region, opaque_ids=bool(settings.opaque_ids), exempt=tuple(settings.exempt or ())
        )

    def _opt_outs(self) -> Suppression:
        _, address, options = self._store("suppression")
        keys = Keys.ephemeral() if address == MEMORY else self.keys()
        return Suppression(address, keys=keys, name=SUPPRESSION, **options)

    def limits(self, settings: Mapping[str, model.Limit], *, team: str | None = None) -> Iterator[Control | Monitored]:
        """Limits that act, then limits that only watch; over the counters of the policy."""
        for watching in (False, True):
            chosen = {name: one for name, one in settings.items() if (one.mode == "monitor") is watching}
            if chosen:
                key = ("limits", team, watching, fingerprint(dict(chosen)), self._store_key())
                made = self._once(key, lambda chosen=chosen: self._limits(chosen, team))  # type: ignore[misc]
                yield monitor(made) if watching else made

    def _store_key(self) -> Hashable:
        stores = self._platform.stores
        return fingerprint(stores.limits if stores is not None else None), self._key()

    def _limits(self, settings: Mapping[str, model.Limit], team: str | None) -> RateLimit:
        limits = [limit_of(name if team is None else f"{team}:{name}", one) for name, one in settings.items()]
        counters = self._once(("counters", self._store_key()), lambda: self._counters(limits))
        return counters.with_limits(*limits)

    def _counters(self, limits: list[Limit]) -> RateLimit:
        given, address, options = self._store("limits")
        if given is not None and given.replicas is not None:
            options["replicas"] = given.replicas
        if given is not None and given.most_keys is not None:
            options["max_keys"] = given.most_keys
        # In memory the key is the process's, as without a policy.
        return RateLimit(*limits, storage=address, keys=None if address == MEMORY else self.keys(), name=LIMITS, **options)

    def mask(self, settings: model.Mask) -> Control | Monitored:
        """The control that masks."""
        vault = self.vault()
        made = self._once(
            ("mask", fingerprint(settings.model_copy(update={"mode": None})), id(vault), self._key()),
            lambda: self._mask(settings, vault),
        )
        return monitor(made) if settings.mode == "monitor" else made

    def _mask(self, settings: model.Mask, vault: Vault | None) -> MaskPII:
        names = settings.names or "model"
        options: dict[str, Any] = {"names": names, "name": MASK}
        entities = settings.entities
        if settings.more_entities:
            entities = list(dict.fromkeys((*(entities or usual_entities(names)), *settings.more_entities)))
        if entities is not None:
            options["entities"] = entities
        if settings.operators is not None:
            keys = self.keys()
            options["operators"] = {entity: operator_of(one, keys) for entity, one in settings.operators.items()}
        for name in ("thresholds", "allow", "deny", "language", "own", "restore_into", "over_budget"):
            if getattr(settings, name) is not None:
                options[name] = getattr(settings, name)
        if settings.budget is not None:
            options["budget_ms"] = settings.budget * 1_000
        return MaskPII(vault=vault, **options)

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


def limit_of(name: str, settings: model.Limit) -> Limit:
    """
    One limit.

    Raises:
        ConfigError: Its settings do not go together.
    """
    options: dict[str, Any] = {}
    for option in ("strategy", "scope", "cost", "protects", "wait"):
        if getattr(settings, option) is not None:
            options[option] = getattr(settings, option)
    per = tuple(settings.per) if isinstance(settings.per, list) else settings.per
    return Limit(settings.rate or "", per=per, name=name, **options)


def operator_of(settings: Operator, keys: Keys | None) -> OperatorLike:
    """One operator."""
    parameters = dict(settings.parameters)
    match settings.name:
        case "replace":
            return Replace(**parameters)  # type: ignore[arg-type]  # checked when they were read
        case "partial":
            return Partial(**parameters)  # type: ignore[arg-type]
        case "redact":
            return Redact()
        case "keep":
            return Keep()
        case "block":
            return Block()
        case "hash":
            return Hash() if keys is None else Hash(keys)
        case "encrypt":
            return Encrypt() if keys is None else Encrypt(keys)
        case "pseudonym":
            return Pseudonym()
        case "synthetic":
            return Synthetic() if keys is None else Synthetic(keys)
        case other:  # made as MaskPII makes it
            return other


def usual_entities(names: str) -> list[str]:
    """What `MaskPII` looks for when nobody says what."""
    if names == "off":
        return list(DEFAULT_ENTITIES)
    from guardrails.pii.names.decode import ENTITIES  # noqa: PLC0415 - only with names

    return list(dict.fromkeys((*DEFAULT_ENTITIES, *ENTITIES)))


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
