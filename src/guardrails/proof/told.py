"""What an audit log tells of who guards what: its writers, their settings, and the controls that they asked."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardrails.audit.reading import read_records


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEntry:
    """
    One writer, as its audit log tells.

    Args:
        stream: Its id.
        began: When.
        host: Where.
        pid: Which process.
        library: Version of this library.
        config: What the log was set to.
        policies: Digests of the policies in force.
        controls: Name, layer and whether it only watched, of every control that a record names, with how often it was asked.
        operations: Sends, with how often they came to the door.
    """

    stream: str
    began: str
    host: str
    pid: int
    library: str
    config: Mapping[str, Any]
    policies: Sequence[str]
    controls: Mapping[str, int]
    operations: Mapping[str, int]


def from_audit(folder: Path) -> list[StreamEntry]:
    """
    What the records in *folder* say about who guards what.

    Raises:
        OSError: It cannot be read.
    """
    genesis: dict[str, dict[str, Any]] = {}
    policies: dict[str, set[str]] = defaultdict(set)
    controls: dict[str, Counter[str]] = defaultdict(Counter)
    operations: dict[str, Counter[str]] = defaultdict(Counter)
    for record in read_records(folder):
        stream = str(record.get("stream"))
        stage = record.get("stage")
        if stage == "genesis":
            genesis[stream] = record
        if isinstance(record.get("policy"), str):
            policies[stream].add(record["policy"])
        if stage in ("intent", "decision"):
            operations[stream][str(record.get("operation"))] += 1
            guards = record.get("guards")
            for one in guards if isinstance(guards, list) else ():
                if isinstance(one, dict):
                    watches = " (watches only)" if one.get("monitored") else ""
                    controls[stream][f"{one.get('layer')} {one.get('name')}{watches}"] += 1
    return [
        StreamEntry(
            stream=stream,
            began=str(record.get("ts")),
            host=str(record.get("host")),
            pid=pid if isinstance(pid := record.get("pid"), int) else 0,
            library=str(record.get("library")),
            config=config if isinstance(config := record.get("config"), dict) else {},
            policies=sorted(policies[stream]),
            controls=dict(sorted(controls[stream].items())),
            operations=dict(sorted(operations[stream].items())),
        )
        for stream, record in sorted(genesis.items(), key=lambda pair: str(pair[1].get("ts")))
    ]


def stream_lines(entries: Iterable[StreamEntry]) -> Iterator[str]:
    """For a terminal."""
    for entry in entries:
        yield f"stream {entry.stream[:8]} since {entry.began}: {entry.host}, process {entry.pid}, version {entry.library}"
        yield f"    log    {json.dumps(entry.config, sort_keys=True)}"
        yield from (f"    policy {digest}" for digest in entry.policies)
        yield from (f"    asked  {name}: {count} times" for name, count in entry.controls.items())
        yield from (f"    send   {name}: {count} times" for name, count in entry.operations.items())
