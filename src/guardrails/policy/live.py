"""
A policy in force: the guards that were made from it, and how it changes under them.

Rules:
1. A new version is read, checked, made, tried (its examples) and fitted to every guard, decoration and team guard before any
   message meets it. Then all guards of the policy turn in one step. If anything is wrong, nothing has changed.
2. Calls in flight keep the version that they began with; its controls are closed when the last of those calls has ended.
3. What did not change is the same object: streams of the audit log, counters, opt-outs and tokens go on.
4. Every change, and every refused change, is said in the log, in the metrics and in the audit log.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from guardrails.core.edition import Edition, Source, Turn
from guardrails.core.guard import Guard, exchange_all
from guardrails.core.stack import Monitored
from guardrails.errors import ConfigError, GuardrailsError
from guardrails.policy.controls import fingerprint
from guardrails.policy.examples import Failure, failures
from guardrails.policy.opened import OpenControls, closed
from guardrails.policy.problems import PolicyError, Problem, nearest
from guardrails.policy.retired import Retired
from guardrails.policy.source import PolicySource
from guardrails.policy.stacks import Stacks, all_made
from guardrails.policy.switches.making import switchboard_for
from guardrails.policy.version import Version, read_version
from guardrails.policy.watching import Watch, reload_on_sighup

if TYPE_CHECKING:
    from guardrails.audit import AuditLog
    from guardrails.pii.vault.vault import Vault
    from guardrails.policy.switches.board import Switchboard
    from guardrails.ratelimit import Suppression

_log: Final = logging.getLogger("guardrails.policy")


class Policy:
    """
    A policy file in force. `Policy.at(path)` gives the one of this process; all guards of one file share it.

    Args:
        path: The file.

    Raises:
        PolicyError: Something is wrong with it, or one of its examples fails.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(os.path.abspath(path))  # noqa: PTH100 - by its name: a link may be pointed elsewhere
        self.turn: Turn = Turn()
        self.refused: int = 0  # changes that were not taken
        self.changed: int = 0  # changes that were
        self.problem: str | None = None  # why the last one was not
        self._said_path = os.fspath(path)
        self._sources: weakref.WeakKeyDictionary[Guard, PolicySource] = weakref.WeakKeyDictionary()
        self._open: set[int] = set()
        self._controls = OpenControls()
        self._lock = threading.RLock()
        self._watch: Watch | None = None
        self._stacks = self._prepared(read_version(self._said_path), None)
        if not self._stacks.version.file.examples:
            _log.warning("the policy %s has no examples: nothing says that it does what it should", self._said_path)

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Policy:
        """
        The policy of this process in this file; it is read once, and then only when it is reloaded.

        Raises:
            PolicyError: It is read now, and something is wrong with it.
        """
        key = os.path.abspath(path)  # noqa: PTH100
        with _policies_lock:
            known = _policies.get(key)
            if known is None:
                known = _policies[key] = cls(path)
            return known

    # -- guards ----------------------------------------------------------------------------------------------------------

    def guard(
        self,
        *,
        team: str | None = None,
        channel: str | None = None,
        tenant: str | None = None,
        direction: str = "outbound",
        owner: str | None = None,
    ) -> Guard:
        """
        A guard over this policy.

        Args:
            team: Whose guard it is: the team's own limits and checks stand inside the platform's.
            channel: Of its messages, where a decoration does not say another.
            tenant: The only tenant that it is for. Without it, each message's own tenant decides.
            direction: As for `Guard`.
            owner: As for `Guard`; the team otherwise.

        Raises:
            ConfigError: There is no such team, the channel or tenant is one that the policy has, misspelt, or an option is
                wrong.
        """
        teams = self.version.known("teams")
        if team is not None and team not in teams:
            raise ConfigError(f"the policy {self._said_path} has no team {team!r}{nearest(team, teams)}", control="policy")
        if tenant is not None and (not isinstance(tenant, str) or not tenant):
            raise ConfigError("tenant must be a non-empty str")
        with self.turn.lock:
            source = PolicySource(self, team=team, channel=channel or self.version.channel, tenant=tenant)
            guard = Guard.of(
                source,
                channel=channel or self.version.channel,
                direction=direction,
                production=bool(self.version.platform.production),
                owner=owner or team,
                canary_every_seconds=self.version.canary_every_seconds,
            )
            self._sources[guard] = source
        return guard

    @property
    def version(self) -> Version:
        """What is in force."""
        return self._stacks.version

    @property
    def stacks(self) -> Stacks:
        """Its controls."""
        return self._stacks

    @property
    def digest(self) -> str:
        """Of the version in force, as in records."""
        return self.version.digest

    @property
    def switchboard(self) -> Switchboard | None:
        """The switches of the policy; None where it has none."""
        return self._stacks.switchboard

    @property
    def vault(self) -> Vault | None:
        """The vault of the policy, for `own` and `link`."""
        return self.version.controls.vault()

    @property
    def suppression(self) -> Suppression | None:
        """The platform's list of people who have opted out, to add to it and to hear stop words."""
        settings = self.version.platform.suppression
        made = None if settings is None else self.version.controls.suppression(settings)
        return made.control if isinstance(made, Monitored) else made  # type: ignore[return-value]  # it is what was made

    @property
    def audit(self) -> AuditLog | None:
        """The platform's audit log."""
        return self.version.controls.platform_audit()

    # -- changing --------------------------------------------------------------------------------------------------------

    def reload(self) -> bool:
        """
        Read the file again, and put it in force if it is another one.

        Returns:
            Whether it was.

        Raises:
            ConfigError: Something is wrong with it, an example fails, or a guard does not fit; the last good one stays.
        """
        with self._lock:
            if not self._reloaded():
                return False
        # Without the lock: a guard that opens for its first send holds its own lock, and waits for ours.
        for guard in list(self._sources):
            guard.pace(self.version.canary_every_seconds)
        return True

    def _reloaded(self) -> bool:
        try:
            version = read_version(self._said_path, self.version)
            if version.digest == self.digest:
                self.problem = None
                return False
            self._put_in_force(self._prepared(version, self.switchboard))
        except GuardrailsError as error:
            self.refused += 1
            problems = len(error.problems) if isinstance(error, PolicyError) else 1
            self.problem = f"the last change of the policy was not taken: {type(error).__name__} ({problems})"
            _log.error("the policy %s was not taken, and %s stays in force: %s", self._said_path, self.digest, error)
            self._record("policy-refused", {"problems": problems, "error": type(error).__name__})
            raise
        self.changed += 1
        self.problem = None
        _log.warning("the policy %s is in force: %s", self._said_path, self.digest)
        return True

    def _prepared(self, version: Version, before: Switchboard | None) -> Stacks:
        """Every control of the platform made, and every example tried."""
        failed = failures(all_made(version))  # without switches: whatever is on, examples say the same
        if failed:
            raise PolicyError(version.document.file, map(_told, failed))
        board = before
        if before is None or fingerprint(version.switching()) != fingerprint(self.version.switching()):
            board = switchboard_for(version, before=before, changed=self._switched)
        stacks = all_made(version, board)
        controls = version.controls  # without the stacks, which would be kept alive by themselves
        stacks.ready = lambda: self._controls.open(controls) if self._open else None
        return stacks

    def _switched(self, on: Mapping[str, str]) -> None:
        facts = {"on": len(on), **dict(list(on.items())[:8])}
        # A send may be who noticed: it does not wait for the disk.
        threading.Thread(
            target=self._record, args=("switches", facts), name="guardrails-policy-record", daemon=True
        ).start()

    def _put_in_force(self, stacks: Stacks) -> None:
        before = self._stacks
        with self.turn.lock:
            changes: list[tuple[Guard, Edition, Source]] = []
            for guard, source in list(self._sources.items()):
                teams = stacks.version.known("teams")
                if source.team is not None and source.team not in teams:
                    raise ConfigError(
                        f"a guard of team {source.team!r} is in use, and the policy has no such team any more"
                    )
                changes.append((guard, source.made(stacks), source))
            opened = self._controls.open(stacks.version.controls) if self._open else []
            if self._open and stacks.switchboard is not None:
                stacks.switchboard.open()
            try:
                exchange_all(changes)
            except ConfigError:
                for one in opened:
                    closed(one)
                raise
            self._stacks = stacks
        stacks.version.controls.forget_before()
        if before.switchboard is not None and before.switchboard is not stacks.switchboard:
            before.switchboard.close()
        self._record(
            "policy", {"digest": _hex(stacks.version.digest), "before": _hex(before.version.digest), "why": "reload"}
        )
        Retired(before, stacks, self.retire)

    def _record(self, change: str, facts: Mapping[str, str | int]) -> None:
        """Put a change on record. It has happened: that it could not be recorded is said in the log."""
        note = getattr(self.audit, "note_config", None)
        if note is None or not self._open:
            return
        try:
            note(change, **facts)
        except GuardrailsError as error:
            _log.error("the change %s could not be recorded: %s", change, error)

    def watch(self) -> None:
        """
        Reload by itself when the file changes, from now on.

        Raises:
            ConfigError: The extra `watch` is not installed.
        """
        with self._lock:
            if self._watch is None:
                self._watch = Watch(self)

    def stop_watching(self) -> None:
        """Reload no more by itself."""
        with self._lock:
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    # -- life ------------------------------------------------------------------------------------------------------------

    def opened_by(self, guard: Guard) -> None:
        """A guard sends for the first time."""
        with self._lock:
            self._controls.open(self.version.controls)
            if self.switchboard is not None:
                self.switchboard.open()
            first = not self._open
            self._open.add(id(guard))
            if first:
                self._record("policy", {"digest": _hex(self.digest), "why": "start"})

    def closed_by(self, guard: Guard) -> None:
        """A guard will send no more; with the last one everything is closed."""
        with self._lock:
            self._open.discard(id(guard))
            self._sources.pop(guard, None)
            if not self._open:
                if self.switchboard is not None:
                    self.switchboard.close()
                self._controls.close()

    def retire(self, controls: Iterable[object]) -> None:
        """Close what no version in force needs any more."""
        with self._lock:
            needed = list(self.version.controls.made())
            ending = [one for one in controls if all(one is not other for other in needed)]
            self._controls.forget(ending)
        for control in ending:
            closed(control)

    def __repr__(self) -> str:
        return f"Policy({self._said_path!r}, {self.digest})"


def _hex(digest: str) -> str:
    """A digest as short as the facts of a record have to be."""
    return digest.removeprefix("sha256:")


def _told(failure: Failure) -> Problem:
    return Problem(failure.place, failure.name, failure.text)


_policies: Final[dict[str, Policy]] = {}
_policies_lock = threading.RLock()


def _after_fork() -> None:
    global _policies_lock  # noqa: PLW0603 - the old one may be held by nobody
    _policies_lock = threading.RLock()
    for policy in _policies.values():
        policy._lock = threading.RLock()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_after_fork)


def from_policy(
    path: str | os.PathLike[str],
    *,
    team: str | None = None,
    channel: str | None = None,
    tenant: str | None = None,
    direction: str = "outbound",
    watch: bool = False,
    on_sighup: bool = False,
) -> Guard:
    """
    A guard made from a policy file.

    Args:
        path: The file.
        team: Whose guard it is; the team's own limits and checks stand inside the platform's.
        channel: Of its messages, where a decoration does not say another.
        tenant: The only tenant that it is for. Without it, each message's own tenant decides.
        direction: As for `Guard`.
        watch: Reload when the file changes; needs the extra `watch`.
        on_sighup: Reload when the process gets SIGHUP.

    Raises:
        ConfigError: Something is wrong with the policy (every problem, with file, line and column), there is no such
            team, or the channel or tenant is one that the policy has, misspelt.
    """
    policy = Policy.at(path)
    guard = policy.guard(team=team, channel=channel, tenant=tenant, direction=direction)
    if watch:
        policy.watch()
    if on_sighup:
        reload_on_sighup(policy)
    return guard
