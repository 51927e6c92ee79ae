"""
`make soak`: sends from several processes, threads and tasks while the store, the disks, the policy and a process are taken away
and given back, one after the other; then says what the guard itself refused, and whether anything went out unseen.

    python -m tests.proof.soak SECONDS [FOLDER]
"""

# ruff: noqa: T201 - a campaign prints what it did

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.proof.soak.setting import Setting
from tests.proof.soak.verdict import Event, Verdict, verdict
from tests.proof.soak.world import FAULTS, Fault, World
from tests.servers import running, valkey_binary

_FAULT_SECONDS = 20.0  # and as long a calm after each, unless the soak is too short for a round of all


def soak(
    seconds: float,
    folder: Path,
    *,
    processes: int = 2,
    pause_seconds: float = 0.2,
    deadline_seconds: float = 2.0,
    faults: Sequence[Fault] = FAULTS,
) -> Verdict:
    """Run for so long, in whole faults; then look at everything that was written."""
    with running(valkey_binary(), folder) as server:
        setting = Setting(str(folder), server.url, processes, pause_seconds, deadline_seconds)
        setting.write()
        world = World(setting, server)
        try:
            world.start_senders()
            events = _happenings(world, seconds, faults)
            codes = world.end()
        finally:
            for sender in world.senders:
                sender.kill()
    assert codes == [0] * processes, "a sender ended badly; see the folder `said`"
    return verdict(setting, events)


def _happenings(world: World, seconds: float, faults: Sequence[Fault]) -> list[Event]:
    """Faults, each followed by a calm."""
    each = min(_FAULT_SECONDS, seconds / (len(faults) * 2 + 1))
    events: list[Event] = []
    began = time.monotonic()
    _wait(each)
    while len(events) < len(faults) or time.monotonic() - began + 2 * each <= seconds:
        fault = faults[len(events) % len(faults)]
        begins = time.monotonic()
        fault.begin(world)
        broken = time.monotonic()
        while (left := broken + each - time.monotonic()) > 0:
            _wait(min(1.0, left))
            if fault.each is not None:
                fault.each(world)
        ends = time.monotonic()
        fault.end(world)
        events.append(Event(fault, begins, ends, time.monotonic()))
        _wait(each)
    return events


def _wait(seconds: float) -> None:
    time.sleep(seconds)


def main() -> None:
    """Run a soak, and print what it found."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3_600.0
    if len(sys.argv) > 2:
        Path(sys.argv[2]).mkdir(parents=True)
        found = soak(seconds, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = soak(seconds, Path(folder))
    print(found.text(load=os.getloadavg()[2]))
    sys.exit(0 if found.holds else 1)


if __name__ == "__main__":
    main()
