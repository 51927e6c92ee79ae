"""
`Quarantine`: a control that stops a channel, or a tenant, when a canary has failed or the seal had to stop too much.

It stands in the platform layer, before the mask. What it stops stays stopped until a canary of the guard passes again (for a
failed canary), or somebody lifts it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.companion import channels_of, hear_no_more
from guardrails.core.observe import Ending, observe, stop_observing
from guardrails.core.sealhits import SealHits, is_seal_hit
from guardrails.core.trial import Trial
from guardrails.errors import ConfigError, Denied
from guardrails.proof.schedule import on_report

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.guard import Guard
    from guardrails.core.message import Message
    from guardrails.proof.canary import CanaryReport

_log: Final = logging.getLogger("guardrails")


class Quarantine:
    """
    Stops everything on a channel whose guardrails cannot be trusted.

    Args:
        seal_hits: So many messages that only the seal stopped (`Blocked` by the mask, not by its operators) within the window
            stop the channel; None to ignore them.
        window_seconds: The window.
        on_canary: Whether a failed round of canaries stops the channels of its guard.
        name: How errors and records call it.

    Raises:
        ConfigError: An argument is wrong.
    """

    def __init__(
        self,
        *,
        seal_hits: int | None = 3,
        window_seconds: float = 60.0,
        on_canary: bool = True,
        name: str = "quarantine",
    ) -> None:
        if seal_hits is not None and (type(seal_hits) is not int or seal_hits < 1):
            raise ConfigError("Quarantine(seal_hits=...) must be an int of at least 1, or None")
        if isinstance(window_seconds, bool) or not isinstance(window_seconds, int | float) or window_seconds <= 0:
            raise ConfigError("Quarantine(window_seconds=...) must be a number of seconds above 0")
        self.name = name
        self._seal_hits = seal_hits
        self._on_canary = on_canary
        self._lock = threading.RLock()  # a garbage collector may end a send while another one is counted in the same thread
        self._hits: SealHits[str] = SealHits(seal_hits or 1, float(window_seconds))
        self._stopped: dict[str, str] = {}  # channel to why
        self._planted: set[str] = set()  # rehearsals that meet a stop

    def open(self) -> None:
        """Listen to canaries and to sends."""
        if self._on_canary:
            on_report(self.heard)
        if self._seal_hits is not None:
            observe(self)

    def close(self) -> None:
        """Listen no more."""
        stop_observing(self)
        hear_no_more(self.heard)

    @property
    def refuses_rehearsal(self) -> Trial:
        """A stop of its own."""
        return Trial(rehearsals=1, planted=self._plant)

    @contextmanager
    def _plant(self, canary: str, _message: Message) -> Iterator[None]:
        self._planted.add(canary)
        try:
            yield
        finally:
            self._planted.discard(canary)

    @property
    def stopped(self) -> dict[str, str]:
        """Channel to why it is stopped."""
        return dict(self._stopped)

    def lift(self, channel: str) -> None:
        """Let *channel* send again."""
        with self._lock:
            self._stopped.pop(channel, None)
            self._hits.forget(channel)
        _log.warning("guardrails: the quarantine of channel %s was lifted", channel)

    async def guard(self, call: Call, forward: Forward, _io: Io, /) -> Reply:
        """Refuse what would go out on a channel that is stopped. Rehearsals pass: they are how it is lifted."""
        why = self._stopped.get(call.message.channel)
        if call.canary is not None:
            why = "a canary" if call.canary in self._planted else None
        if why is not None and not call.dry_run:
            raise Denied(f"channel {call.message.channel} is in quarantine: {why}")
        return await forward(call)

    def heard(self, guard: Guard, report: CanaryReport) -> None:
        """A round of canaries is over."""
        if not any(slot.control is self for one in guard.family for stack in one.stacks for slot in stack.slots):
            return
        failed = channels_of(guard, report) if report.failed else frozenset()
        with self._lock:
            for channel in {guard.channel, *(plan.channel for one in guard.family for plan in one.plans)}:
                if channel in failed:
                    self._stop(channel, f"the canary failed in {', '.join(report.controls)}")
                elif self._stopped.get(channel, "").startswith("the canary"):
                    del self._stopped[channel]
                    _log.warning("guardrails: channel %s is out of quarantine: a canary passed", channel)

    def ended(self, send: Ending, /) -> None:
        """A send is over: was it the seal that stopped it?"""
        if send.result != "refused" or not self._is_ours(send) or not is_seal_hit(send):
            return
        channel = send.plan.channel
        with self._lock:
            if self._hits.hit(channel, time.monotonic()):
                self._stop(channel, f"the seal stopped {self._seal_hits} messages")

    def health(self) -> dict[str, Any]:
        """What is stopped."""
        if not self._stopped:
            return {"stopped": 0}
        return {"stopped": len(self._stopped), "problem": f"in quarantine: {', '.join(sorted(self._stopped))}"}

    def _is_ours(self, send: Ending) -> bool:
        return any(slot.control is self for slot in send.plan.stack.slots)

    def _stop(self, channel: str, why: str) -> None:
        if channel not in self._stopped:
            self._stopped[channel] = why
            _log.error("guardrails: channel %s is in quarantine: %s", channel, why)
