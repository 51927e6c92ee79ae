"""What an `AuditLog` is given, read once: wrong arguments are found where they are written."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from guardrails import __version__
from guardrails.audit.anchors import Anchor, refuse_inside
from guardrails.audit.files import JsonlDirectory
from guardrails.audit.record import EventIds
from guardrails.audit.several import SeveralSinks
from guardrails.audit.sink import Sink
from guardrails.audit.streams import Streams
from guardrails.audit.writer import Writer
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from guardrails.audit.bounds import Bounds
    from guardrails.audit.checkpoints import Checkpoints
    from guardrails.audit.note import Signer

Place: TypeAlias = str | os.PathLike[str] | Sink
LEVELS: Final = ("metadata", "masked")
DURABILITIES: Final = ("fsync", "os")


def read_place(place: object, argument: str) -> Sink:
    """
    A sink, or the folder of one.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(place, Sink):
        return place
    if isinstance(place, (str, os.PathLike)) and place:
        return JsonlDirectory(Path(place).absolute())  # the working directory may change before the first send
    raise ConfigError(f"AuditLog({argument}) must be a folder or a Sink")


def read_sinks(
    given: Place | Sequence[Place],
    *,
    required: Literal["all"] | Sequence[Place],
    min_success: int,
    deadline_seconds: float,
) -> tuple[Sink, tuple[Sink, ...]]:
    """
    The sink that the log writes to, and all that it is made of.

    Raises:
        ConfigError: One is no sink, or *required* or *min_success* cannot be met.
    """
    several = given if isinstance(given, (list, tuple)) else (given,)
    if not several:
        raise ConfigError("AuditLog(sink) must be a folder or a Sink, or several of them")
    sinks = tuple(read_place(one, "sink") for one in several)
    if type(min_success) is not int or not 1 <= min_success <= len(sinks):
        raise ConfigError(f"AuditLog(min_success=...) must be an int from 1 to {len(sinks)}, the number of sinks")
    if isinstance(required, str):
        if required != "all":
            raise ConfigError('AuditLog(required=...) must be "all", or those of the sinks that must take each record')
        needed = [True] * len(sinks)
    else:
        needed = [any(one is wanted or one == wanted for wanted in required) for one in several]
        if sum(needed) != len(list(required)):
            raise ConfigError("AuditLog(required=[...]) names something that is not among the sinks")
    if len(sinks) == 1:
        return sinks[0], sinks
    joined = SeveralSinks(zip(sinks, needed, strict=True), min_success=min_success, deadline_seconds=deadline_seconds)
    return joined, sinks


def refuse_twice(sinks: Sequence[Sink], emergency: Sink | None) -> None:
    """
    Refuse places that are given twice: two copies in one place are one copy, and a reserve that is lost with the log is none.

    Raises:
        ConfigError: One is.
    """
    places = [_place_of(one) for one in sinks]
    if len(set(places)) < len(places):
        raise ConfigError("AuditLog(sink) names one place twice: give each copy a place of its own")
    if emergency is not None and _place_of(emergency) in places:
        raise ConfigError(
            "AuditLog(emergency=...) is where the log itself is kept: reserve another place, best another disk"
        )


def _place_of(sink: Sink) -> object:
    where = getattr(sink, "folder", None) or getattr(sink, "path", None)
    return os.path.realpath(where) if isinstance(where, (str, os.PathLike)) else id(sink)


def folders_of(sinks: Sequence[Sink]) -> tuple[Path, ...]:
    """The folders that records go to."""
    return tuple(one.folder.absolute() for one in sinks if isinstance(one, JsonlDirectory))


def holders_of(sink: Sink) -> tuple[tuple[Sink, ...], int]:
    """Sinks of which a canary must find its record, and in how many of them a record that was accepted is at least."""
    if not isinstance(sink, SeveralSinks):
        return (sink,), 1
    if needed := tuple(one for one, required in sink.given if required):
        return needed, len(needed)
    return tuple(one for one, _ in sink.given), sink.min_success


def check(
    *,
    level: str,
    durability: str,
    deadline_seconds: float,
    signer: Signer | None,
    anchors: Sequence[Anchor],
    checkpoint_every: int,
    checkpoint_seconds: float,
    anchor_grace_seconds: float,
) -> None:
    """
    Refuse what is of no use.

    Raises:
        ConfigError: With the argument and what it must be.
    """
    if level not in LEVELS:
        raise ConfigError('AuditLog(level=...) must be "metadata" or "masked"')
    if durability not in DURABILITIES:
        raise ConfigError('AuditLog(durability=...) must be "fsync" or "os"')
    _check_seconds("deadline_seconds", deadline_seconds)
    _check_seconds("checkpoint_seconds", checkpoint_seconds)
    if anchor_grace_seconds != 0:
        _check_seconds("anchor_grace_seconds", anchor_grace_seconds)
    if (signer is None) != (not anchors):
        raise ConfigError(
            "AuditLog(signer=..., anchors=[...]) go together: unsigned anchors and unkept signatures prove nothing"
        )
    if type(checkpoint_every) is not int or checkpoint_every < 1:
        raise ConfigError("AuditLog(checkpoint_every=...) must be an int of at least 1")
    if any(not isinstance(anchor, Anchor) for anchor in anchors):
        raise ConfigError("AuditLog(anchors=[...]) must be anchors, such as DirectoryAnchor(folder)")


def _check_seconds(name: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ConfigError(f"AuditLog({name}=...) must be a number of seconds")
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise ConfigError(f"AuditLog({name}=...) must be more than 0")


def check_sinks(sink: Sink, sinks: Sequence[Sink], durability: str, anchors: Sequence[Anchor]) -> None:
    """
    Refuse sinks that cannot keep what the log promises.

    Raises:
        ConfigError: A sink cannot write durably, or an anchor lies beside what it protects.
    """
    if durability == "fsync" and not getattr(sink, "can_sync", True):
        raise ConfigError('this sink cannot promise that a power cut takes nothing: write AuditLog(..., durability="os")')
    for folder in folders_of(sinks):
        refuse_inside(folder, anchors)


def described(
    sinks: Sequence[Sink],
    *,
    durability: str,
    level: str,
    deadline_seconds: float,
    signer: Signer | None,
    checkpoint_every: int,
    checkpoint_seconds: float,
    anchor_grace_seconds: float,
) -> dict[str, str | int]:
    """How the genesis record describes the log; at most 16 facts with what the log itself adds."""
    said: dict[str, str | int] = {
        "checkpoint_every": 0 if signer is None else checkpoint_every,
        "deadline_ms": int(deadline_seconds * 1000),
        "durability": durability,
        "level": level,
        "sink": "+".join(type(one).__name__ for one in sinks),
    }
    if signer is not None:
        said |= {
            "anchor_grace_seconds": math.ceil(anchor_grace_seconds),
            "checkpoint_seconds": math.ceil(checkpoint_seconds),
            "signer": signer.name,
        }
    days = [one.retain_days for one in sinks if isinstance(one, JsonlDirectory) and one.retain_days is not None]
    if days:
        said["retain_days"] = min(days)
    return said


def make_writer(
    sink: Sink,
    *,
    name: str,
    durability: str,
    deadline_seconds: float,
    bounds: Bounds,
    config: dict[str, str | int],
    checkpoints: Checkpoints,
) -> Writer:
    """
    The writer of a sink, and everything that it stands on.

    Args:
        sink: Where records go.
        name: The log's.
        durability: "fsync": a thread writes; "os": whoever has something to write.
        deadline_seconds: How long anybody waits for a record.
        bounds: How much it may hold and write.
        config: What the genesis record says about the log.
        checkpoints: Signs and anchors what was written.
    """
    from guardrails.audit.mirror import Mirror  # noqa: PLC0415 - heavy
    from guardrails.audit.pipeline import pipeline  # noqa: PLC0415 - heavy

    event_ids = EventIds()
    about: dict[str, str | int] = {"in_flight": bounds.in_flight, "name": name, "record_bytes": bounds.record_bytes}
    streams = Streams(
        sink,
        lambda stream: pipeline(stream=stream, durability=durability),
        durable=durability == "fsync",
        event_ids=event_ids,
        library=__version__,
        config=config | about,
        checkpoints=checkpoints,
    )
    return Writer(
        streams,
        threaded=durability == "fsync",
        deadline_seconds=deadline_seconds,
        bounds=bounds,
        show=Mirror().show,
        event_ids=event_ids,
        keeps_time=checkpoints.is_on,
    )
