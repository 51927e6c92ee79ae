"""What the processes of a soak agree on: where things lie, and what the lines in their files mean."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

LANES = ("two sinks", "provider limit", "people limit", "one sink", "policy")
SINKS = {"two sinks": ("a", "b"), "provider limit": ("c",), "people limit": ("d",), "one sink": ("e",), "policy": ("f",)}
CANARY_SECONDS = 20.0
SENT, FAILED = "sent", "ConnectionError"  # what the provider said; anything else is the guard's


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One soak.

    Args:
        folder: Everything that it writes.
        store: Address of the server.
        processes: Senders.
        pause_seconds: Between two sends of one thread or task.
        deadline_seconds: Of audit logs.
    """

    folder: str
    store: str
    processes: int
    pause_seconds: float
    deadline_seconds: float

    @property
    def root(self) -> Path:
        return Path(self.folder)

    def audit(self, sink: str) -> Path:
        """The folder of a sink."""
        return self.root / "audit" / sink

    def trouble(self, sink: str) -> Path:
        """What is wrong with a sink, in a file that is not there while nothing is."""
        return self.root / "trouble" / sink

    @property
    def policy(self) -> Path:
        return self.root / "policy" / "guardrails.yaml"

    @property
    def switches(self) -> Path:
        return self.root / "policy" / "switches.jsonl"

    @property
    def stop(self) -> Path:
        """There, when the senders are to end."""
        return self.root / "stop"

    def write(self) -> Path:
        path = self.root / "setting.json"
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def read(cls, path: str) -> Setting:
        return cls(**json.loads(Path(path).read_text()))


class Attempt(NamedTuple):
    """One call of a guarded send: when it was over (monotonic seconds, the same clock in all processes), and how it ended."""

    lane: str
    at: float
    took: float
    result: str
    control: str
    leaks: bool


class Lines:
    """A file of which a process that is killed leaves whole lines."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def put(self, *fields: object) -> None:
        os.write(self._fd, ("\t".join(map(str, fields)) + "\n").encode())


def read_lines(folder: Path) -> list[list[str]]:
    """The lines of all files in a folder."""
    return [
        line.split("\t") for path in sorted(folder.iterdir()) for line in path.read_text().splitlines() if path.is_file()
    ]
