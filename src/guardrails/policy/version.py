"""One version of a policy: read, checked, and good for stacks. Never changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from guardrails.core.companion import LEAST_SECONDS
from guardrails.errors import ConfigError
from guardrails.pii.lists import check_size
from guardrails.pii.registry import pattern_entities
from guardrails.policy import model
from guardrails.policy.channels import meant
from guardrails.policy.controls import AUDIT, LIMITS, MASK, SUPPRESSION, Controls
from guardrails.policy.custom import SettingsError
from guardrails.policy.defaults import filled
from guardrails.policy.directions import DIRECTIONS, directs, written_out
from guardrails.policy.document import At, Document, read_document
from guardrails.policy.layers import met
from guardrails.policy.making.mask import brought_entities, usual_entities
from guardrails.policy.problems import PolicyError, Problem, nearest
from guardrails.policy.reading import NAMED, policy_file, spelled
from guardrails.policy.secret import Secret, SecretError
from guardrails.policy.setting import Settings
from guardrails.policy.slips import advice
from guardrails.policy.switches.switch import public_key
from guardrails.policy.tenants import meant_tenant
from guardrails.policy.tightening import PLATFORM, layers_of, loosened
from guardrails.policy.unfit import names_taken, unfit_rules
from guardrails.policy.values import DEFAULT

SWITCHES: Final = "switches"
_OPERATORS: Final = ("operators", *DIRECTIONS)
CANARY_SECONDS: Final = 60.0  # between two rounds, where there is a quarantine and nothing else is said
_RESERVED: Final = frozenset({AUDIT, SUPPRESSION, LIMITS, MASK, SWITCHES, "core", "guard", "binding", "caps", "policy"})


L = TypeVar("L", bound=model.Layer)


class Version:
    """
    A policy file that holds together.

    Args:
        document: The file.
        before: The version in force, whose controls are taken over where settings are equal.
        tried: Whether nothing will be sent, and no store's file is to be made.

    Attributes:
        document: The file.
        file: Its settings.
        digest: SHA-256 of the file's exact bytes; stands in every record.
        controls: Its controls.

    Raises:
        PolicyError: Something is wrong; all of it, each with its place.
    """

    def __init__(self, document: Document, before: Version | None = None, *, tried: bool = False) -> None:
        self.document: Document = document
        self.file: model.PolicyFile = policy_file(document)
        said = self.file.platform or model.Platform()
        self.directs: bool = any(directs(layer.mask) for layer in (said, *(one for _, one in layers_of(self.file))))
        self.platform: model.Platform = self._directed(filled(said, said.defaults))
        self.digest: str = f"sha256:{hashlib.sha256(document.raw).hexdigest()}"
        # Without following links: paths stay beside the name.
        self._folder = Path(os.path.abspath(document.file)).parent  # noqa: PTH100
        problems = [*loosened(document, self.file, self.platform), *self._unfit()]
        if problems:
            raise PolicyError(document.file, problems)
        self.controls: Controls = Controls(
            self.platform, self._folder, None if before is None else before.controls, tried=tried
        )

    def layers(self, *, channel: str | None, tenant: str | None, team: str | None) -> Iterator[tuple[At, model.Layer]]:
        """The layers that apply, the platform's first."""
        yield (PLATFORM,), self.platform
        for section, name in (("channels", channel), ("tenants", tenant), ("teams", team)):
            layer = (getattr(self.file, section) or {}).get(name)
            if layer is not None:
                yield (section, name or ""), layer

    def effective(self, *, channel: str | None, tenant: str | None, team: str | None) -> tuple[model.Layer, model.Team]:
        """What holds in the platform's place for such a message, and what the team adds inside."""
        holds = model.Layer(**{name: getattr(self.platform, name) for name in model.Layer.model_fields})
        own = model.Team()
        for at, layer in self.layers(channel=channel, tenant=tenant, team=team):
            if at[0] == "teams":
                own, tightens = split(layer, self.platform)
                holds = met(holds, self._directed(tightens))
            elif at[0] != PLATFORM:
                holds = met(holds, self._directed(layer))
        defaults = self.platform.defaults
        return filled(holds, defaults), filled(own, defaults)

    def in_both_directions(self) -> Version:
        """The same, with all operators said for each direction."""
        twin = copy(self)
        twin.directs = True
        twin.platform = written_out(self.platform)
        return twin

    def _directed(self, layer: L) -> L:
        return written_out(layer) if self.directs else layer

    @property
    def channel(self) -> str:
        """Of messages whose guard and decoration name none."""
        defaults = self.platform.defaults
        return (defaults.channel if defaults is not None else None) or "other"

    def known(self, section: str) -> Mapping[str, model.Layer]:
        """The layers of one section."""
        return getattr(self.file, section) or {}

    def stands(self, secret: Secret) -> Iterator[At]:
        """Where a secret is named."""
        return _within(self.file, secret, ())

    def switching(self) -> list[object]:
        """All that decides about switches."""
        return [self.platform.switches, self.platform.bypassable, self.platform.quarantine]

    @property
    def canary_every_seconds(self) -> float | None:
        """How often canaries come; None for never."""
        every = self.platform.canary_every
        quarantine = self.platform.quarantine
        if every is None and quarantine is not None and quarantine.canary is not False:
            return CANARY_SECONDS
        return every

    # -- checks that need more than the form -----------------------------------------------------------------------------

    def _unfit(self) -> Iterator[Problem]:
        keys = self.platform.keys
        for one in (keys.master if keys is not None else None) or ():
            if one.where == "text":
                yield self._problem((PLATFORM, "keys", "master"), "keys are secrets: write ${NAME} or {file: PATH}")
        yield from self._unfit_switches()
        yield from self._unfit_quarantine()
        for at, layer in (((PLATFORM,), self.platform), *layers_of(self.file)):
            yield from unfit_rules(self.document, self.platform, at, layer)
            if layer.mask is not None:
                yield from self._unfit_entities(at, layer.mask)
        yield from names_taken(self.document, [((PLATFORM,), self.platform), *layers_of(self.file)], _RESERVED)
        channels = self.known("channels")
        if (near := meant(self.channel, channels)) is not None:
            yield self._problem(
                (PLATFORM, "defaults", "channel"), f"is no channel of this policy{advice('channel', self.channel, near)}"
            )
        for number, example in enumerate(self.file.examples or ()):
            if example.channel is not None and (near := meant(example.channel, channels)) is not None:
                on_channel: At = ("examples", number, "channel")
                yield self._problem(on_channel, f"there is no such channel{advice('channel', example.channel, near)}")
            if example.tenant is not None and (near := meant_tenant(example.tenant, self.known("tenants"))) is not None:
                of_tenant: At = ("examples", number, "tenant")
                yield self._problem(of_tenant, f"there is no such tenant{advice('tenant', example.tenant, near)}")
            if example.team is not None and example.team not in self.known("teams"):
                here = ("examples", number, "team")
                yield self._problem(here, f"there is no such team{nearest(example.team, self.known('teams'))}")

    def _problem(self, at: At, text: str) -> Problem:
        return Problem(self.document.place(at), spelled(at), text)

    def _unfit_entities(self, at: At, mask: model.Mask) -> Iterator[Problem]:
        above = self.platform.mask or model.Mask()
        if mask.analyzer is None and above.analyzer is None:  # what an engine of somebody's finds, it says when it is made
            yield from self._not_found(at, mask, above)
        yield from self._too_long(at, mask)
        vaulted = self.platform.stores is not None and self.platform.stores.vault is not None
        for setting in ("own", "restore_into", "learn"):
            if getattr(mask, setting) and not vaulted:
                yield self._problem((*at, "mask", setting), "needs platform.stores.vault")
        for scope in _OPERATORS:
            for entity, operator in (getattr(mask, scope) or {}).items():
                here = (*at, "mask", scope, entity)
                if operator.name == "pseudonym" and not vaulted and here in self.document.keys:
                    yield self._problem(here, "pseudonym needs platform.stores.vault")

    def _too_long(self, at: At, mask: model.Mask) -> Iterator[Problem]:
        """Lists that nobody would want to wait for; tenants' too, which are not made before they are needed."""
        for setting, given in (("deny", mask.deny or ()), ("allow", mask.allow or ())):
            try:
                check_size(given, argument=setting)
            except ConfigError as error:
                yield self._problem((*at, "mask", setting), str(error))

    def _not_found(self, at: At, mask: model.Mask, above: model.Mask) -> Iterator[Problem]:
        names = mask.names or above.names or "model"
        try:
            brought = brought_entities((above, mask), lambda text: os.fspath(self._folder / text))
        except ConfigError as error:
            if at == (PLATFORM,) or mask.recognizers or mask.countries:  # else the platform's, which is told there
                yield self._problem((*at, "mask"), str(error))
            return
        findable = _findable(names) | brought
        whole = mask.entities if at == (PLATFORM,) else above.entities  # below the platform it cannot be changed
        wanted = {*(whole or usual_entities(names)), *(above.more_entities or ()), *(mask.more_entities or ()), *brought}
        for setting in ("entities", "more_entities", "learn"):
            for number, entity in enumerate(getattr(mask, setting) or ()):
                if entity not in findable:
                    here = (*at, "mask", setting, number)
                    yield self._problem(here, f"nothing finds {entity}{_near(entity, findable)}")
        for setting in (*_OPERATORS, "thresholds"):
            for entity in getattr(mask, setting) or ():
                here = (*at, "mask", setting, entity)
                if entity not in {*wanted, DEFAULT} and here in self.document.keys:
                    yield self._problem(here, f"is not looked for{_near(entity, wanted)}")

    def _unfit_quarantine(self) -> Iterator[Problem]:
        quarantine, switches = self.platform.quarantine, self.platform.switches
        every = self.platform.canary_every
        if every is not None and every < LEAST_SECONDS:
            yield self._problem((PLATFORM, "canary_every"), f"is at least {round(LEAST_SECONDS * 1000)}ms")
        if quarantine is None:
            return
        at = (PLATFORM, "quarantine")
        if switches is None:
            yield self._problem(at, "needs platform.switches: a switch lifts what it blocks")
        if (quarantine.operator is None) is not (quarantine.key_file is None):
            yield self._problem(at, "operator and key_file go together")
        operators = (switches.operators or {}) if switches is not None else {}
        if quarantine.operator is not None and quarantine.operator not in operators:
            here = (*at, "operator")
            yield self._problem(here, f"is none of platform.switches.operators{nearest(quarantine.operator, operators)}")
        if quarantine.within is not None and quarantine.within <= 0:
            yield self._problem((*at, "within"), "is more than nothing")

    def _unfit_switches(self) -> Iterator[Problem]:
        switches = self.platform.switches
        at = (PLATFORM, "switches")
        if switches is not None and (switches.file is None) is (switches.url is None):
            yield self._problem(at, "takes either file or url")
        for name, key in (switches.operators or {}).items() if switches is not None else ():
            try:
                public_key(key)
            except ConfigError as error:
                problem = str(error)
            else:
                continue
            yield self._problem((*at, "operators", name), problem)
        bypassable = self.platform.bypassable or {}
        if bypassable and switches is None:
            yield self._problem((PLATFORM, "bypassable"), "nobody can bypass anything without platform.switches")
        names = {SUPPRESSION, LIMITS, MASK}
        for _, layer in (((PLATFORM,), self.platform), *layers_of(self.file)):
            for section in NAMED:
                names |= set() if section == "limits" else (getattr(layer, section) or {}).keys()
        for name in bypassable:
            if name not in names:
                here = (PLATFORM, "bypassable", name)
                why = (
                    "the audit log is never bypassed"
                    if name == AUDIT
                    else f"there is no such control{nearest(name, names)}"
                )
                yield self._problem(here, why)


def read_version(path: str | os.PathLike[str], before: Version | None = None, *, tried: bool = False) -> Version:
    """
    The policy in a file; the arguments are those of `Version`.

    Raises:
        PolicyError: It cannot be read, or something in it is wrong.
    """
    return Version(read_document(path), before, tried=tried)


@lru_cache(maxsize=4)
def _findable(names: str) -> frozenset[str]:
    return frozenset((*pattern_entities(), *usual_entities(names)))


def split(team: model.Layer, platform: model.Platform) -> tuple[model.Team, model.Layer]:
    """What a team adds of its own, and what it tightens of the platform's."""
    own: dict[str, Any] = {}
    tightens: dict[str, Any] = {name: getattr(team, name) for name in model.Layer.model_fields}
    for section in NAMED:
        above: Mapping[str, Any] = getattr(platform, section) or {}
        said: Mapping[str, Any] = getattr(team, section) or {}
        own[section] = {name: one for name, one in said.items() if name not in above} or None
        tightens[section] = {name: one for name, one in said.items() if name in above} or None
    return model.Team(**own), model.Layer(**tightens)


def placed(version: Version, at: At, error: ConfigError) -> list[Problem]:
    """What went wrong while a control was made, with the place of its settings; of a secret with its own."""
    told: list[tuple[At, str]] = [(at, str(error))]
    if isinstance(error, SettingsError) and error.problems:
        told = [((*at, "settings", *inner), text) for inner, text in error.problems]
    elif isinstance(error, SecretError):
        told = [(next(version.stands(error.secret), at), str(error))]
    return [Problem(version.document.place(here), spelled(here), text) for here, text in told]


def _within(value: Any, wanted: Secret, at: At) -> Iterator[At]:
    """Where a secret stands below *value*."""
    match value:
        case Secret():
            if value == wanted:
                yield at
        case Settings():
            for name, one in value.said():
                yield from _within(one, wanted, (*at, name))
        case dict():
            for key, one in value.items():
                yield from _within(one, wanted, (*at, key))
        case list():
            for number, one in enumerate(value):
                yield from _within(one, wanted, (*at, number))
        case _:
            return


def _near(entity: str, known: Collection[str]) -> str:
    text = nearest(entity, known)
    return text if "did you mean" in text else ""
