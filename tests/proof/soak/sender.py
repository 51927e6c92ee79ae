"""
One process of a soak: threads and tasks that send through guards of every kind, until they are told to stop.

`python -m tests.proof.soak.sender SETTING NAME`
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import re
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails import AuditLog, Guard, Limit, MaskPII, RateLimit, from_policy
from guardrails.audit.files import JsonlDirectory
from guardrails.proof.schedule import on_report
from tests.proof.soak.setting import CANARY_SECONDS, FAILED, LANES, SENT, SINKS, Lines, Setting

if TYPE_CHECKING:
    from guardrails.proof.canary import CanaryReport

PERSONAL = re.compile(r"@example\.com|555[ -]?01\d\d")
_FAILS_EVERY = 97  # of the provider's answers, one is an error


class Troubled(JsonlDirectory):
    """A folder on a disk that fills up or hangs for as long as a file says so."""

    def __init__(self, setting: Setting, sink: str) -> None:
        super().__init__(setting.audit(sink))
        self.trouble = setting.trouble(sink)

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        while (trouble := self._said()) == "hangs":
            threading.Event().wait(0.02)
        if trouble == "full":
            raise OSError(errno.ENOSPC, "no space left on device")
        super().write(lines, durable=durable)

    def _said(self) -> str:
        try:
            return self.trouble.read_text()
        except FileNotFoundError:
            return ""


def guards(setting: Setting) -> dict[str, Guard]:
    """One guard a lane; they share a mask, as the guards of one application do."""
    mask, deadline = MaskPII(names="off"), setting.deadline_seconds

    def log(lane: str, **more: Any) -> AuditLog:
        sinks = [Troubled(setting, sink) for sink in SINKS[lane]]
        return AuditLog(sinks if len(sinks) > 1 else sinks[0], deadline_seconds=deadline, **more)

    def stored(*limits: Limit) -> RateLimit:
        return RateLimit(*limits, storage=setting.store, replicas=setting.processes)

    def guard(lane: str, limit: RateLimit, **more: Any) -> Guard:
        return Guard(log(lane, **more), limit, mask, channel="sms", owner=lane, canary_every_seconds=CANARY_SECONDS)

    roomy = Limit("10000 per 5 minutes", per="recipient")  # a window remembers its sends: memory is level once it is full
    return {
        "two sinks": guard("two sinks", RateLimit(roomy), required=[], min_success=1),
        "provider limit": guard("provider limit", stored(Limit("2000/second", protects="provider"))),
        "people limit": guard("people limit", stored(roomy)),
        "one sink": guard("one sink", RateLimit(roomy)),
        "policy": from_policy(setting.policy, channel="sms", on_sighup=True),
    }


class Sender:
    """
    Sends, and writes down how each send ended.

    Args:
        setting: The soak.
        name: Of this process.
    """

    def __init__(self, setting: Setting, name: str) -> None:
        self.setting = setting
        self.attempts = Lines(setting.root / "attempts" / name)
        self.received = Lines(setting.root / "received" / name)
        self.memory = Lines(setting.root / "memory" / name)
        self.canaries = Lines(setting.root / "canaries" / name)
        self.over = threading.Event()
        on_report(self.heard)
        self._name = name
        self._numbers = itertools.count()
        self.guards = guards(setting)

    def provider(self, lane: str) -> Callable[..., str]:
        """The send itself: what arrives here has been sent, and must be on record, and clean."""

        def deliver(to: str, body: str, conversation: str) -> str:
            self.received.put(lane, conversation, int(bool(PERSONAL.search(body))))
            if int(conversation.rpartition("-")[2]) % _FAILS_EVERY == 0:
                raise ConnectionError(to)
            return f"accepted {conversation}"

        return deliver

    def messages(self) -> Iterator[tuple[str, str, str]]:
        for number in self._numbers:
            to = f"+1212555{100 + secrets.randbelow(100):04}"
            body = f"Write to u{secrets.token_hex(4)}@example.com or call +1 212 555 01{secrets.randbelow(100):02}, please."
            yield to, body, f"{self._name}-{number}"

    def told(self, lane: str, began: float, error: BaseException | None) -> None:
        """Write down one attempt."""
        now = time.monotonic()
        said = "" if error is None else "".join(traceback.format_exception(error)) + repr(error)
        own = type(error).__name__ == FAILED  # the provider's error holds what the provider puts there
        leaks = not own and bool(PERSONAL.search(said))
        result = SENT if error is None else type(error).__name__
        self.attempts.put(
            lane, f"{now:.4f}", f"{now - began:.4f}", result, getattr(error, "control", None) or "-", int(leaks)
        )

    def heard(self, guard: Guard, report: CanaryReport) -> None:
        """Write down a round of canaries."""
        now = time.monotonic()
        self.canaries.put(guard.owner, f"{now - report.seconds:.4f}", f"{now:.4f}", ",".join(report.controls) or "-")

    def in_thread(self, lane: str, send: Callable[..., Any]) -> None:
        for message in self.messages():
            if self.over.wait(self.setting.pause_seconds):
                return
            began, error = time.monotonic(), None
            try:
                send(*message)
            except Exception as caught:  # noqa: BLE001 - how a send ends is what is measured
                error = caught
            self.told(lane, began, error)

    async def in_task(self, lane: str, send: Callable[..., Awaitable[Any]]) -> None:
        for message in self.messages():
            await asyncio.sleep(self.setting.pause_seconds)
            if self.over.is_set():
                return
            began, error = time.monotonic(), None
            try:
                await send(*message)
            except Exception as caught:  # noqa: BLE001 - as above
                error = caught
            self.told(lane, began, error)

    def in_loop(self) -> None:
        async def all_lanes() -> None:
            async with asyncio.TaskGroup() as tasks:
                for lane, guard in self.guards.items():
                    tasks.create_task(self.in_task(lane, guard(_awaited(self.provider(lane)))))

        with asyncio.Runner() as runner:
            runner.run(all_lanes())

    def run(self) -> None:
        """Send until the file `stop` is there, then close everything."""
        threads = [
            threading.Thread(target=self.in_thread, args=(lane, guard(self.provider(lane))))
            for lane, guard in self.guards.items()
        ]
        threads.append(threading.Thread(target=self.in_loop))
        for thread in threads:
            thread.start()
        ticks = itertools.count()
        while not self.setting.stop.exists():
            self.over.wait(0.1)  # the main thread, so that SIGHUP is heard
            if next(ticks) % 10 == 0:
                self.memory.put(f"{time.monotonic():.1f}", _resident_kb(), threading.active_count(), _open_files())
        self.over.set()
        for thread in threads:
            thread.join()
        for guard in self.guards.values():
            guard.close()


def _awaited(deliver: Callable[..., str]) -> Callable[..., Awaitable[str]]:
    async def adeliver(to: str, body: str, conversation: str) -> str:
        await asyncio.sleep(0)
        return deliver(to, body, conversation)

    return adeliver


def _resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    assert set(SINKS) == set(LANES)
    Sender(Setting.read(sys.argv[1]), sys.argv[2]).run()
