"""What a soak happens to: a real store, processes that send, disks that fill up and hang, a policy and its switches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from guardrails.keys.operator import public_text
from guardrails.policy.switches.store import FileStore
from guardrails.policy.switches.switch import BLOCK_ALL, LIFT, Switch, new_id, signed
from tests.proof.soak.setting import LANES, Setting
from tests.servers import Server

ROOT = Path(__file__).parents[3]
POLICY = """\
version: 1
platform:
  audit: {{folder: ../audit/f, deadline: {deadline}}}
  limits: {{person: {{rate: {rate} per 5 minutes, per: recipient}}}}
  mask: {{names: "off"}}
  switches: {{file: switches.jsonl, operators: {{ann: "{operator}"}}}}
examples:
  - {{in: "write to ann@example.com", out: "write to <EMAIL_ADDRESS>"}}
"""


class World:
    """
    Args:
        setting: The soak.
        server: The store.
    """

    def __init__(self, setting: Setting, server: Server) -> None:
        self.setting = setting
        self.server = server
        self.senders: list[subprocess.Popen[bytes]] = []
        self._operator = Ed25519PrivateKey.generate()
        self._started = 0
        self._reloads = 0
        self._block = ""
        for folder in ("trouble", "policy", "attempts", "received", "canaries", "memory", "said"):
            (setting.root / folder).mkdir()
        self.write_policy()

    def write_policy(self) -> None:
        """Another rate, and nothing else."""
        self._reloads += 1
        text = POLICY.format(
            deadline=f"{round(self.setting.deadline_seconds * 1000)}ms",
            rate=10_000 - self._reloads % 2,
            operator=public_text(self._operator),
        )
        written = self.setting.policy.with_suffix(".new")
        written.write_text(text)
        written.replace(self.setting.policy)

    def reload(self) -> None:
        """Put another version of the policy in force."""
        self.write_policy()
        for sender in self.senders:
            sender.send_signal(signal.SIGHUP)

    def start_senders(self) -> None:
        """As many as there are to be, and wait until all have sent something on every lane."""
        path = str(self.setting.root / "setting.json")
        names = []
        while len(self.senders) < self.setting.processes:
            self._started += 1
            name = f"s{self._started}"
            with (self.setting.root / "said" / name).open("wb") as said:
                self.senders.append(
                    subprocess.Popen(
                        [sys.executable, "-W", "ignore", "-m", "tests.proof.soak.sender", path, name],
                        cwd=ROOT,
                        env={**os.environ, "GUARDRAILS_KEY": "ab" * 32},
                        stdout=said,
                        stderr=said,
                    )
                )
            names.append(name)
        for name in names:
            self._until_it_sends(name)

    def _sends(self, name: str) -> bool:
        path = self.setting.root / "attempts" / name
        text = path.read_text() if path.exists() else ""
        return all(f"{lane}\t" in text for lane in LANES)

    def _until_it_sends(self, name: str) -> None:
        until = time.monotonic() + 60.0
        while not self._sends(name):
            assert all(one.poll() is None for one in self.senders), "a sender ended by itself; see the folder `said`"
            assert time.monotonic() < until, "the senders did not start within a minute"
            time.sleep(0.05)

    def kill_sender(self) -> None:
        """The youngest dies at once; the first lives on, so that its memory can be watched."""
        youngest = self.senders.pop()
        youngest.kill()
        youngest.wait()

    def trouble(self, sinks: str, what: str) -> None:
        """Each of *sinks* "hangs" or is "full"; empty for neither."""
        for sink in sinks:
            path = self.setting.trouble(sink)
            if what:
                path.with_suffix(".new").write_text(what)
                path.with_suffix(".new").replace(path)
            else:
                path.unlink(missing_ok=True)

    def block(self) -> None:
        """An operator blocks everything that goes through the policy."""
        self._block = self._switch(kind=BLOCK_ALL)

    def lift(self) -> None:
        """And lifts that."""
        self._switch(kind=LIFT, lifts=self._block)

    def _switch(self, **fields: Any) -> str:
        switch = Switch(id=new_id(), operator="ann", issued=time.time_ns() / 1e9, reason="a soak", **fields)
        FileStore(self.setting.switches).append(signed(switch, self._operator))
        return switch.id

    def end(self) -> list[int]:
        """Tell the senders to stop; their exit codes."""
        self.setting.stop.touch()
        return [sender.wait(timeout=120) for sender in self.senders]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    Something that goes wrong, and is right again.

    Args:
        name: What, in words.
        lanes: Lanes of which sends may be refused meanwhile, because what they need is gone. All others must go on.
        begin: Make it go wrong.
        end: Make it right.
        each: Called every second meanwhile.
    """

    name: str
    lanes: tuple[str, ...]
    begin: Callable[[World], None]
    end: Callable[[World], None]
    each: Callable[[World], None] | None = None


def _nothing(_world: World) -> None:
    """It is right by itself."""


# A sink that was full joins again after half a minute, one that hung catches up: in this order one of two is always there.
FAULTS = (
    Fault("the store is killed", ("people limit",), lambda w: w.server.kill(), lambda w: w.server.start()),
    Fault("one of two sinks hangs", (), lambda w: w.trouble("a", "hangs"), lambda w: w.trouble("a", "")),
    Fault("the store hangs", ("people limit",), lambda w: w.server.stop(), lambda w: w.server.cont()),
    Fault("one of two sinks is full", (), lambda w: w.trouble("b", "full"), lambda w: w.trouble("b", "")),
    Fault("the only sink hangs", ("one sink",), lambda w: w.trouble("e", "hangs"), lambda w: w.trouble("e", "")),
    Fault("policy reloads", (), World.reload, _nothing, World.reload),
    Fault("the only sink is full", ("one sink",), lambda w: w.trouble("e", "full"), lambda w: w.trouble("e", "")),
    Fault("an operator blocks all", ("policy",), World.block, World.lift),
    Fault("a sender is killed", (), World.kill_sender, World.start_senders),
)
