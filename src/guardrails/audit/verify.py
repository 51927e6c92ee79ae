"""
Does what lies there hold together? Offline, from the files alone, and whatever the bytes.

Verdicts. *Integrity*: each line is a record in canonical form, numbered without a gap, and carries the SHA-256 of the line
before it; each stream begins with what the one before it ended with. *Completeness*: each stream that another one names is
there, or was removed in its time with a tombstone on record. *Liveness*: checkpoints came as often as they were promised.
*Semantics*: one intent a send, one outcome an intent, never an outcome alone. An intent without an outcome is counted as
unknown: a process died, or is at it.

With an anchor and the keys to trust: *authenticity* (each note is signed by a trusted key) and completeness up to the
newest checkpoint of each stream. Without an anchor the last stream of each process is not protected by anything, and the
report says so.

Memory does not grow with the log. Imports no more than the standard library; with an anchor also `cryptography`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeAlias

from guardrails.audit.anchored import Anchored
from guardrails.audit.contradictions import contradictions
from guardrails.audit.finding import Finding
from guardrails.audit.folder import stream_of
from guardrails.audit.missing import missing, twins
from guardrails.audit.note import Trust
from guardrails.audit.notes import can_be_rewritten, read_notes
from guardrails.audit.reading import Malformed, files, lines, parse
from guardrails.audit.report import Report, StreamReport, unusable
from guardrails.audit.said import Claim, FileResult
from guardrails.audit.stream_reading import read_file
from guardrails.errors import ConfigError

_SMALL_BYTES: Final = 67_108_864
_TRIES: Final = 5  # of a folder in which files come and go
_Path: TypeAlias = "str | os.PathLike[str]"


def verify_directory(
    folder: str | os.PathLike[str],
    *,
    anchor: str | os.PathLike[str] | None = None,
    trust: str | os.PathLike[str] | None = None,
    retain_days: int | None = None,
    jobs: int = 1,
) -> Report:
    """
    Verify every stream of *folder*.

    Args:
        folder: As given to `AuditLog`.
        anchor: Where checkpoints are kept: the folder of a `DirectoryAnchor`, a file of syslog lines, or the URL of a
            witness; needs *trust*.
        trust: The reviewer's own file of verifier keys.
        retain_days: How long streams must have been kept at least; None takes the writer's word, which is on record.
        jobs: Processes that read streams side by side.
    """
    if (anchor is None) != (trust is None):
        return unusable(folder, "an anchor and the keys to trust go together")
    for _ in range(_TRIES - 1):
        report, moved = _verified(folder, anchor, trust, retain_days, jobs)
        if not moved:
            return report
    return _verified(folder, anchor, trust, retain_days, jobs)[0]


def _verified(
    folder: _Path, anchor: _Path | None, trust: _Path | None, retain_days: int | None, jobs: int
) -> tuple[Report, bool]:
    """What is found, and whether that may be because a writer removed or renamed files meanwhile."""
    anchored: Anchored | None = None
    if anchor is not None and trust is not None:
        try:
            # Before the files: what is anchored while they are read is then nothing that they could lack.
            anchored = Anchored(read_notes(anchor), Trust(trust))
        except (ConfigError, OSError, ValueError) as error:
            said = str(error) if isinstance(error, ConfigError) else f"the anchor cannot be read ({type(error).__name__})"
            return unusable(folder, said), False
    try:
        paths = files(folder)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        return unusable(folder, f"cannot be read ({type(error).__name__})"), False
    if not paths:
        return unusable(folder, "no audit stream here (*.jsonl)"), False
    with _spill(paths) as spill:
        results = _read_all(paths, spill, anchored, jobs)
        expired, gone = missing(results, anchored, retain_days)
        semantics = contradictions(paths, results, spill, expired)
    if anchor is not None and trust is not None and anchored is not None:
        _look_again(anchored, results, anchor, trust)
    report = _report(folder, results, [*semantics, *gone], anchored, expired, anchor)
    return report, any(result.is_gone for result in results) or _came_back(folder, gone)


def _look_again(anchored: Anchored, results: Iterable[FileResult], anchor: _Path, trust: _Path) -> None:
    """
    What is found of the anchor is what is found twice.

    A writer may have been half-way through a note, or may have anchored one while its files were read.
    """
    looked_for = [(result, *unknown) for result in results for unknown in result.unknown_notes]
    now = anchored
    if looked_for or anchored.findings:
        with contextlib.suppress(ConfigError, OSError, ValueError):  # else it stands
            now = Anchored(read_notes(anchor), Trust(trust))
    anchored.findings = [finding for finding in anchored.findings if finding in now.findings]
    for result, digest, finding in looked_for:
        if not now.has_note(result.stream or "", digest):
            result.findings.append(finding)


def _came_back(folder: _Path, gone: Iterable[Finding]) -> bool:
    """Whether a stream that was missed is there now: it was renamed while the folder was listed."""
    missed = {finding.stream for finding in gone}
    try:
        return bool(missed) and not missed.isdisjoint(stream_of(path.name) for path in files(folder))
    except OSError:
        return False


@contextlib.contextmanager
def _spill(paths: Iterable[Path]) -> Iterator[Path | None]:
    """A folder for what does not fit into memory; None where all of it does."""
    try:
        small = sum(path.stat().st_size for path in paths if not path.name.endswith(".gz")) < _SMALL_BYTES
    except OSError:
        small = False
    if small and not any(path.name.endswith(".gz") for path in paths):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="guardrails-verify-") as folder:
        yield Path(folder)


def _read_all(paths: list[Path], spill: Path | None, anchored: Anchored | None, jobs: int) -> list[FileResult]:
    claims = _claims(paths)
    work = [
        (
            path,
            spill,
            None if anchored is None else anchored.reader(stream_of(path.name)),
            claims.get(stream_of(path.name), []),
        )
        for path in paths
    ]
    if jobs <= 1 or len(paths) == 1:
        return [read_file(*one) for one in work]
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        return list(pool.map(read_file, *zip(*work, strict=True)))


def _claims(paths: Iterable[Path]) -> dict[str, list[Claim]]:
    """What the genesis record of each file says about the stream before it."""
    found: dict[str, list[Claim]] = {}
    for path in paths:
        try:
            first = parse(next(lines(path), b"").removesuffix(b"\n"))
        except (Malformed, OSError):  # named when the file is read
            continue
        previous, records, head = (first.get(f"previous_{name}") for name in ("stream", "records", "head"))
        if isinstance(previous, str) and type(records) is int and isinstance(head, str):
            found.setdefault(previous, []).append(Claim(by=stream_of(path.name), records=records, head=head))
    return found


def _report(
    folder: _Path,
    results: list[FileResult],
    others: list[Finding],
    anchored: Anchored | None,
    expired: Iterable[str],
    anchor: _Path | None,
) -> Report:
    found = [*chain.from_iterable(result.findings for result in results), *twins(results), *others]
    if anchored is not None:
        found += anchored.findings
    ended: Counter[str] = Counter()
    for result in results:
        ended.update(result.sends.results)
    return Report(
        folder=os.fsdecode(folder),
        streams=tuple(_stream(result, found) for result in results),
        authenticity=_of("authenticity", found),
        completeness=_of("completeness", found),
        liveness=_of("liveness", found),
        semantics=_of("semantics", found),
        expired=tuple(expired),
        anchored=anchored is not None,
        anchor_in_reach=anchor is not None and can_be_rewritten(anchor, folder),
        intents=sum(result.sends.intents for result in results),
        outcomes=tuple(sorted((+ended).items())),
        decisions=sum(result.sends.decisions for result in results),
        unknown_outcomes=sum(len(result.sends.waiting) for result in results),
    )


def _of(verdict: str, found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in found if one.verdict == verdict)


def _stream(result: FileResult, found: Iterable[Finding]) -> StreamReport:
    return StreamReport(
        file=result.name,
        stream=result.stream,
        state=result.state,
        records=result.records,
        tail_bytes=result.tail_bytes,
        unanchored=result.unanchored,
        findings=tuple(one for one in found if one.file == result.name and one.verdict == "integrity"),
    )
