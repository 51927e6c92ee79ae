"""What one guard asks of its policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from guardrails.core.edition import Edition, Turn
from guardrails.policy.stacks import ByMessage, Stacks
from guardrails.policy.tenants import checked_tenant

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.policy.live import Policy


class PolicySource:
    """
    Gives a guard its controls.

    Args:
        policy: Whose they are.
        team: Whose guard it is; None for the platform's own.
        channel: Of its messages, where a decoration does not say another.
        tenant: The only tenant that it is for, if it is for one.
    """

    def __init__(self, policy: Policy, *, team: str | None, channel: str | None, tenant: str | None) -> None:
        self.policy = policy
        self.team = team
        self.channel = channel
        self.tenant = tenant

    @property
    def turn(self) -> Turn:
        """All guards of a policy turn together."""
        return self.policy.turn

    def edition(self) -> Edition:
        """What is in force."""
        return self.made(self.policy.stacks)

    def made(self, stacks: Stacks) -> Edition:
        """The edition of this guard in some version."""
        version = stacks.version
        stack = stacks.of(channel=self.channel, tenant=self.tenant, team=self.team)
        choice = ByMessage(stacks, team=self.team, tenant=self.tenant)
        if self.channel is not None:
            choice.check_channel(self.channel)
        if self.tenant is not None:
            checked_tenant(self.tenant, version.known("tenants"), version.document.file)
        return Edition(stack, version.controls.caps(), bool(version.platform.strict), choice)

    def open(self, guard: Guard, /) -> None:
        """*guard* sends for the first time."""
        self.policy.opened_by(guard)

    def close(self, guard: Guard, /) -> None:
        """*guard* will send no more."""
        self.policy.closed_by(guard)

    def reload(self) -> bool:
        """Read the policy again."""
        return self.policy.reload()

    def health(self) -> Mapping[str, str | int | None]:
        """Which version is in force, and what became of changes."""
        policy = self.policy
        return {
            "digest": policy.digest,
            "changed": policy.changed,
            "refused": policy.refused,
            "problem": policy.problem,
        }
