"""
What blocks by itself: a policy's `quarantine`.

Messages that only the seal stopped, and a round of canaries that failed, become a `block-all` of their channel or tenant. It
holds in this process at once, whatever the store does; with an operator of its own it is also signed and put where every process
looks. Only a switch lifts it: `guardrails switch lift ID`.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from guardrails.core.companion import channels_of, hear, hear_no_more
from guardrails.core.observe import Ending, observe, stop_observing
from guardrails.core.sealhits import SealHits, is_seal_hit
from guardrails.errors import GuardrailsError
from guardrails.policy.switches.board import Switchboard
from guardrails.policy.switches.control import Board
from guardrails.policy.switches.switch import BLOCK_ALL, Switch, new_id

if TYPE_CHECKING:
    from guardrails.core.companion import Round
    from guardrails.core.guard import Guard
    from guardrails.core.stack import Stack

_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_REASON_CHARACTERS: Final = 160
_MOST_BLOCKS: Final = 256  # of single tenants; beyond, their channel is blocked
ITSELF: Final = "quarantine"  # who blocks, where no operator is named
_log: Final = logging.getLogger("guardrails.policy")

Scope = tuple[str | None, str | None]  # channel, tenant


class Quarantine:
    """
    Watches the sends and canaries of a policy's guards.

    Args:
        board: Where it blocks; only guards whose stacks hold this board are watched.
        seal_hits: So many messages that only the seal stopped block.
        window_seconds: Within this time.
        by_tenant: Whether hits are counted for tenants, and block them.
        on_canary: Whether a failed round blocks the channels of what failed.
        operator: In whose name.
        sign: Makes a line that every process obeys; None where a block stays in this process.
    """

    def __init__(
        self,
        board: Switchboard,
        *,
        seal_hits: int,
        window_seconds: float,
        by_tenant: bool,
        on_canary: bool,
        operator: str = ITSELF,
        sign: Callable[[Switch], bytes] | None = None,
    ) -> None:
        self._board = board
        self._by_tenant = by_tenant
        self._on_canary = on_canary
        self._operator = operator
        self._sign = sign
        self._hits: SealHits[Scope] = SealHits(seal_hits, window_seconds)
        self._fresh()
        _quarantines.add(self)

    def _fresh(self) -> None:
        self._lock = threading.RLock()  # a garbage collector may end a send while another one is counted in the same thread

    def open(self) -> None:
        """Watch from now on."""
        observe(self)
        if self._on_canary:
            hear(self.heard)

    def close(self) -> None:
        """Watch no more; what is blocked stays."""
        stop_observing(self)
        hear_no_more(self.heard)

    def ended(self, send: Ending, /) -> None:
        """A send is over: was it the seal alone that stopped it?"""
        if send.result != "refused" or not self._is_ours(send.plan.stack) or not is_seal_hit(send):
            return
        scope = self._scope(send)
        with self._lock:
            too_many = self._hits.hit(scope, time.monotonic())
        if too_many:
            self._block(scope, "the seal alone stopped too many messages")

    def heard(self, guard: Guard, report: Round) -> None:
        """A round of canaries is over."""
        if report.passed or not any(self._is_ours(stack) for one in guard.family for stack in one.stacks):
            return
        for channel in sorted(channels_of(guard, report)):
            self._block((channel, None), f"the canary failed in {', '.join(report.controls)}")

    def _is_ours(self, stack: Stack) -> bool:
        return any(isinstance(slot.control, Board) and slot.control.switchboard is self._board for slot in stack.slots)

    def _scope(self, send: Ending) -> Scope:
        channel, tenant = send.plan.channel, send.tenant
        # A block names what it blocks, in plain words: a tenant that is no id, or personal, is never named.
        if not self._by_tenant or tenant is None or not _ID.fullmatch(tenant) or _is_personal(send.plan.stack, tenant):
            return channel, None
        if sum(one.switch.tenant is not None for one in list(self._board.state.on.values())) >= _MOST_BLOCKS:
            return channel, None
        return None, tenant

    def _block(self, scope: Scope, why: str) -> None:
        channel, tenant = scope
        switch = Switch(
            id=new_id(),
            kind=BLOCK_ALL,
            operator=self._operator,
            issued=time.time_ns() / 1e9,
            channel=channel,
            tenant=tenant,
            reason=f"quarantine: {why}"[:_REASON_CHARACTERS],
        )
        if not self._board.block(switch):
            return  # it is blocked already
        _log.error(
            "guardrails: %s is in quarantine: %s; to lift it: guardrails switch lift %s", switch.scope, why, switch.id
        )
        if self._sign is not None:  # a send may be who noticed: it does not wait for the store
            threading.Thread(target=self._tell_all, args=(switch,), name="guardrails-quarantine", daemon=True).start()

    def _tell_all(self, switch: Switch) -> None:
        assert self._sign is not None  # noqa: S101 - the caller looked
        try:
            self._board.store.append(self._sign(switch))
        except GuardrailsError as error:
            _log.error("guardrails: the quarantine holds in this process only, for the store did not take it: %s", error)


def _is_personal(stack: Stack, text: str) -> bool:
    masker = stack.masker
    if masker is None:
        return False
    try:
        return bool(masker.mask(text)[1])
    except Exception:  # noqa: BLE001 - a mask that cannot say so: then it may be
        return True


_quarantines: Final[weakref.WeakSet[Quarantine]] = weakref.WeakSet()


def _after_fork() -> None:
    for quarantine in list(_quarantines):
        quarantine._fresh()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_after_fork)
