"""From effective settings to a stack of controls; and the choice of one for each message."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from guardrails.core.control import Control
from guardrails.core.message import Message
from guardrails.core.stack import Monitored, Stack, check_twice, platform_slots, team_slots
from guardrails.errors import ConfigError, Denied
from guardrails.policy import model
from guardrails.policy.channels import checked_channel, meant
from guardrails.policy.controls import own_name
from guardrails.policy.document import At
from guardrails.policy.making.limits import errors_named
from guardrails.policy.problems import PolicyError, Problem
from guardrails.policy.reading import NAMED
from guardrails.policy.tightening import PLATFORM
from guardrails.policy.version import Version, placed

if TYPE_CHECKING:
    from guardrails.policy.switches.board import Switchboard


class Stacks:
    """
    The stacks of one version, by channel, tenant and team; each is made when it is first needed.

    Args:
        version: The policy.
        switchboard: Switches; None where the policy has none.
    """

    def __init__(self, version: Version, switchboard: Switchboard | None) -> None:
        self.version = version
        self.switchboard = switchboard
        self._known: dict[tuple[str | None, str | None, str | None], Stack] = {}
        self._lock = threading.RLock()
        self.ready: Callable[[], object] | None = None  # called when something new was made

    def of(self, *, channel: str | None, tenant: str | None, team: str | None) -> Stack:
        """
        The controls for such messages; names that the policy does not know are the platform's.

        Raises:
            PolicyError: A control cannot be made; says where its settings stand.
        """
        known = self.version.known
        key = (
            channel if channel in known("channels") else None,
            tenant if tenant in known("tenants") else None,
            team,
        )
        stack = self._known.get(key)
        if stack is None:
            with self._lock:
                stack = self._known.get(key)
                if stack is None:
                    stack = self._made(*key)
                    if self.ready is not None:
                        self.ready()
                    self._known[key] = stack
        return stack

    def made(self) -> list[Stack]:
        """Those that have been needed so far."""
        return list(self._known.values())

    def _made(self, channel: str | None, tenant: str | None, team: str | None) -> Stack:
        version = self.version
        holds, own = version.effective(channel=channel, tenant=tenant, team=team)
        maker = _Maker(version, [at for at, _ in version.layers(channel=channel, tenant=tenant, team=team)])
        controls = list(maker.platform(holds, self.switchboard))
        inside = list(maker.team(own, holds, team))
        if maker.problems:
            raise PolicyError(version.document.file, maker.problems)
        try:
            slots = platform_slots(controls)
            slots = (*slots, *team_slots(inside, slots))
            check_twice(slots)
        except ConfigError as error:
            unfit = Problem(None, "", str(error))
            raise PolicyError(version.document.file, [unfit]) from None
        return Stack(slots, policy=version.digest)

    def kinds(self, team: str | None) -> list[Stack]:
        """
        One stack of each kind that messages of *team* can meet: they differ in what calls must have.

        Raises:
            PolicyError: A control cannot be made.
        """
        version = self.version
        found: dict[object, Stack] = {}
        channels: list[str | None] = [None, *version.known("channels")]
        seen: set[object] = set()
        for tenant in (None, *version.known("tenants")):
            layer = version.known("tenants").get(tenant) if tenant is not None else None
            shape = _shape(layer)
            if shape in seen:  # most tenants change amounts only
                continue
            seen.add(shape)
            for channel in channels:
                stack = self.of(channel=channel, tenant=tenant, team=team)
                found.setdefault((stack.needs, stack.mask is None, any(one.async_only for one in stack.slots)), stack)
        return list(found.values())


def _shape(layer: model.Layer | None) -> object:
    """What about a layer can change which calls its stacks fit."""
    if layer is None:
        return None
    counted = frozenset(
        (section, str(getattr(one, "per", None)), one.mode)
        for section in NAMED[:-1]
        for one in (getattr(layer, section) or {}).values()
    )
    checks = frozenset((one.use, one.mode) for one in (layer.checks or {}).values())
    mask = None if layer.mask is None else (layer.mask.mode, layer.mask.own)
    return counted, checks, mask, layer.suppression


def all_made(version: Version, switchboard: Switchboard | None = None) -> Stacks:
    """
    The stacks of *version*, with every control of platform, channels and teams made.

    Raises:
        PolicyError: A control cannot be made; all problems.
    """
    stacks = Stacks(version, switchboard)
    problems: list[Problem] = []
    asked: list[tuple[str | None, str | None]] = [(None, None)]
    asked += [(channel, None) for channel in version.known("channels")]
    asked += [(None, team) for team in version.known("teams")]
    for channel, team in asked:
        try:
            stacks.of(channel=channel, tenant=None, team=team)
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(version.document.file, problems)
    return stacks


class _Maker:
    """Makes the controls of one stack; what goes wrong is kept, with the place of the settings."""

    def __init__(self, version: Version, layers: list[At]) -> None:
        self._version = version
        self._controls = version.controls
        self._layers = layers
        self.problems: list[Problem] = []

    def platform(self, holds: model.Layer, switchboard: Switchboard | None) -> Iterator[Control | Monitored]:
        yield from self._each(self._at("audit"), lambda: [self._controls.audit(holds.audit)])
        if switchboard is not None:
            yield switchboard.control
        suppression, mask = holds.suppression, holds.mask
        if suppression is not None:
            yield from self._each(self._at("suppression"), lambda: [self._controls.suppression(suppression)])
        yield from self._rules(holds)
        yield from self._checks(holds, before_mask=True)
        if mask is not None:
            yield from self._each(self._at("mask"), lambda: [self._controls.mask(mask)])
        yield from self._checks(holds, before_mask=False)

    def team(self, own: model.Team, holds: model.Layer, team: str | None) -> Iterator[Control | Monitored]:
        yield from self._rules(own.model_copy(update={"refund_on": holds.refund_on}), team)
        yield from self._checks(own, before_mask=False)

    def _rules(self, layer: model.Layer, team: str | None = None) -> Iterator[Control | Monitored]:
        """Rules for people, limits and leases."""
        controls = self._controls
        makes: dict[str, Callable[[str, Any], Control | Monitored]] = {
            "quiet_hours": controls.quiet_hours,
            "person_caps": controls.person_cap,
            "unique_recipients": controls.unique_recipients,
        }
        for section, make in makes.items():
            yield from self._named(section, layer, make, team)
        limits = layer.limits
        if limits:
            refund_on = layer.refund_on or ()
            errors = list(self._each(self._at("refund_on"), lambda: errors_named(refund_on)))
            yield from self._each(self._at("limits"), lambda: controls.limits(limits, refund_on=errors, team=team))
        yield from self._named("concurrency", layer, controls.concurrency, team)

    def _named(
        self, section: str, layer: model.Layer, make: Callable[[str, Any], Control | Monitored], team: str | None
    ) -> Iterator[Control | Monitored]:
        for name, settings in (getattr(layer, section) or {}).items():
            named = own_name(name, team)
            at = self._at(section, name)
            yield from self._each(at, lambda named=named, settings=settings: [make(named, settings)])

    def _checks(self, layer: model.Layer, *, before_mask: bool) -> Iterator[Control | Monitored]:
        for name, check in (layer.checks or {}).items():
            if bool(check.before_mask) is before_mask:
                at = self._at("checks", name)
                yield from self._each(at, lambda name=name, check=check: [self._controls.check(name, check)])

    def _each(self, at: At, make: Any) -> Iterator[Any]:
        try:
            found = [one for one in make() if one is not None]
        except ConfigError as error:
            self.problems += placed(self._version, at, error)
        else:
            yield from found

    def _at(self, *path: str) -> At:
        """Where the innermost layer that says something about it does so."""
        for layer in reversed(self._layers):
            if (*layer, *path) in self._version.document.keys:
                return (*layer, *path)
        return (PLATFORM, *path)


class ByMessage:
    """
    Picks the stack of each message.

    Args:
        stacks: All of them.
        team: Whose guard it is; None for the platform's own.
        tenant: The only tenant that the guard is for, if it is for one.
    """

    def __init__(self, stacks: Stacks, *, team: str | None, tenant: str | None) -> None:
        self._stacks = stacks
        self._team = team
        self._tenant = tenant
        self._known: dict[tuple[str | None, str], Stack] = {}
        self._kinds: list[Stack] | None = None
        self._switchboard = stacks.switchboard

    def stack(self, message: Message, /) -> Stack:
        """
        The controls for *message*.

        Raises:
            Denied: The guard is for another tenant, or the channel is one that the policy has, misspelt.
            GuardrailsError: The controls cannot be made, or nobody knows which switches are on.
        """
        stack = self._known.get((message.tenant, message.channel)) or self._looked_up(message.tenant, message.channel)
        if self._switchboard is not None:
            return self._switchboard.switched(stack, message)
        return stack

    def _looked_up(self, tenant: str | None, channel: str) -> Stack:
        if self._tenant is not None and tenant not in (None, self._tenant):
            raise Denied("this guard is for another tenant", control="policy")
        near = meant(channel, self._stacks.version.known("channels"))
        if near is not None:
            raise Denied(f"the channel is not in the policy; did you mean {near!r}?", control="policy")
        stack = self._stacks.of(channel=channel, tenant=self._tenant or tenant, team=self._team)
        if len(self._known) >= _REMEMBERED:  # anybody could invent as many names as they like
            self._known.clear()
        self._known[tenant, channel] = stack
        return stack

    def check_channel(self, channel: str, /) -> None:
        """Whether *channel* is none that the policy has, misspelt."""
        version = self._stacks.version
        checked_channel(channel, version.known("channels"), version.document.file)

    def kinds(self) -> Iterable[Stack]:
        """One of each kind."""
        if self._kinds is None:
            self._kinds = self._stacks.kinds(self._team)
        return self._kinds


_REMEMBERED = 4_096  # pairs of tenant and channel
