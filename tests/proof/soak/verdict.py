"""
What a soak found, held to the service objective.

The objective. A guard that needs no single thing (two sinks of which one is enough; limits that protect a provider) refuses at
most 1 in 1,000 sends by itself while one sink or the store is lost. A guard that needs what is lost refuses, never hangs, and
goes on by itself once it is back. What a policy or an operator changes refuses nothing that it does not mean. Nothing is sent
without its record, nothing personal is written, no log is broken.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from guardrails.audit import intents, verify_directory
from tests.proof.soak.setting import CANARY_SECONDS, FAILED, LANES, SENT, SINKS, Attempt, Setting, read_lines
from tests.proof.soak.world import Fault

MOST_REFUSED: Final = 0.001  # share of the sends of guards that need not what is lost
MOST_BACK_SECONDS: Final = 10.0  # from the end of a fault to the last refusal by a guard that needed it
MOST_ANSWER_SECONDS: Final = 5.0  # any call
MOST_DRIFT_KB: Final = 16_384  # of a process's memory in an hour, once it is warm
MOST_ALARM_SECONDS: Final = 60.0  # from a fault to a round of canaries that says so
SWITCH_SECONDS: Final = 1.0  # until a switch is obeyed
_PERSONAL: Final = re.compile(rb"@example\.com|\+?1[ -]?212[ -]?555")
WARM_SECONDS: Final = 900.0  # until windows and caches are full
_DRIFT_SECONDS: Final = 1_200.0  # a process that lived less after that says nothing of its memory


class Event(NamedTuple):
    """
    A fault that happened, in monotonic seconds.

    Args:
        fault: Which.
        begins: When it was about to go wrong.
        ends: When it was about to be made right.
        over: When it was right.
    """

    fault: Fault
    begins: float
    ends: float
    over: float


class Round(NamedTuple):
    """A round of canaries of one guard."""

    lane: str
    began: float
    at: float
    failed: bool


@dataclass(slots=True)
class Tally:
    """One lane under one kind of fault, with the calm that followed."""

    attempts: int = 0
    refused: int = 0
    slowest: float = 0.0
    back: float = 0.0
    by: Counter[str] = field(default_factory=Counter)

    @property
    def share(self) -> float:
        return self.refused / self.attempts if self.attempts else 0.0


@dataclass(slots=True)
class Verdict:
    """
    What was found.

    Args:
        seconds: From the first fault to the last attempt.
        happened: How often each fault happened.
        tallies: By fault and lane; the fault "none" is what came before the first.
        sent: Messages that the provider was given.
        unrecorded: Of them, without an intent on record.
        leaks: Attempts, messages and files that held a planted value.
        broken: Logs that do not verify, with what is wrong.
        disobeyed: Messages that went out more than a second into a block.
        drift_kb: Growth of a process's memory in an hour; None where none lived long enough.
        files: Growth of a process's open files.
        rounds: Of canaries.
        false_alarms: Those that failed although nothing was wrong.
        alarm_seconds: The longest from the beginning of a fault that takes what a guard needs to a round that failed.
        needs: Fault to the guards that need what it takes.
    """

    seconds: float
    happened: Counter[str]
    tallies: dict[tuple[str, str], Tally]
    sent: int
    unrecorded: int
    leaks: int
    broken: list[str]
    disobeyed: int
    drift_kb: float | None
    files: int
    rounds: int
    false_alarms: int
    alarm_seconds: float
    needs: dict[str, tuple[str, ...]]

    def of(self, fault: str, lane: str) -> Tally:
        """One row; empty where nothing was sent."""
        return self.tallies.get((fault, lane), Tally())

    def unaffected(self) -> Tally:
        """Sends through guards that do not need what was lost, all faults together."""
        found = Tally()
        for (fault, lane), one in self.tallies.items():
            if lane not in self.needs.get(fault, ()):
                found.attempts += one.attempts
                found.refused += one.refused
                found.slowest = max(found.slowest, one.slowest)
        return found

    def judged(self) -> Iterator[tuple[str, bool]]:
        """Each part of the objective: in words, and whether it was met."""
        spared = self.unaffected()
        needed = [one for (fault, lane), one in self.tallies.items() if lane in self.needs.get(fault, ())]
        back = max((one.back for one in needed), default=0.0)
        slowest = max((one.slowest for one in self.tallies.values()), default=0.0)
        among = f"{spared.refused:,} of {spared.attempts:,} ({spared.share:.4%}; at most {MOST_REFUSED:.1%})"
        yield f"refused by a guard that did not need what was lost: {among}", spared.share <= MOST_REFUSED
        yield (
            f"last refusal after a fault was over: {back:.1f} s (at most {MOST_BACK_SECONDS:g} s)",
            back <= MOST_BACK_SECONDS,
        )
        yield (
            f"slowest answer of any call: {slowest:.1f} s (at most {MOST_ANSWER_SECONDS:g} s)",
            slowest <= MOST_ANSWER_SECONDS,
        )
        yield f"sent without a record: {self.unrecorded} of {self.sent:,}", not self.unrecorded
        yield f"planted values in files, errors or sent texts: {self.leaks}", not self.leaks
        yield f"logs that do not verify: {', '.join(self.broken) or 'none'}", not self.broken
        yield f"sent more than {SWITCH_SECONDS:g} s into a block: {self.disobeyed}", not self.disobeyed
        yield f"canaries: {self.rounds:,} rounds, failed without a fault: {self.false_alarms}", not self.false_alarms
        if self.alarm_seconds:
            within = f"{self.alarm_seconds:.1f} s (at most {MOST_ALARM_SECONDS:g} s)"
            yield f"canaries: a fault was found within {within}", self.alarm_seconds <= MOST_ALARM_SECONDS
        if self.drift_kb is not None:
            bound = f"after {WARM_SECONDS / 60:g} minutes (at most {MOST_DRIFT_KB // 1024} MB)"
            grown = f"{self.drift_kb / 1024:+.1f} MB, {bound}; open files {self.files:+d}"
            yield f"memory in an hour: {grown}", self.drift_kb <= MOST_DRIFT_KB

    @property
    def holds(self) -> bool:
        """Whether the whole objective was met."""
        return all(met for _, met in self.judged())

    def text(self, *, load: float) -> str:
        """For people."""
        faults = sum(self.happened.values())
        lines = [
            f"soak of {self.seconds:.0f} s, {faults} faults, load {load:.1f}; {self.sent:,} messages sent",
            f"  {'fault':31} {'guard':15} {'sends':>8} {'refused':>8} {'share':>9} {'slowest':>8} {'back':>7}",
        ]
        for (fault, lane), one in sorted(self.tallies.items(), key=lambda row: _place(row[0], self.happened)):
            needs = "*" if lane in self.needs.get(fault, ()) else " "
            count = f"{self.happened[fault]} x " if fault in self.happened else ""
            lines.append(
                f"  {count + fault:31} {lane + needs:15} {one.attempts:8,} {one.refused:8,} {one.share:9.3%}"
                f" {one.slowest:6.2f} s {one.back:5.1f} s"
                + (f"  {', '.join(f'{name} {count}' for name, count in one.by.most_common(3))}" if one.by else "")
            )
        lines.append(
            "  * needs what was lost, so that refusing is what it is for; shares count the fault and the calm after it"
        )
        lines += [f"{'met   ' if met else 'MISSED'} {said}" for said, met in self.judged()]
        return "\n".join(lines)


def _place(row: tuple[str, str], happened: Counter[str]) -> tuple[int, int]:
    names = list(happened)
    return names.index(row[0]) if row[0] in names else -1, LANES.index(row[1])


def verdict(setting: Setting, events: Sequence[Event]) -> Verdict:
    """Look at everything that the senders wrote."""
    attempts = [
        Attempt(lane, float(at), float(took), result, control, leaks == "1")
        for lane, at, took, result, control, leaks in read_lines(setting.root / "attempts")
    ]
    tallies: dict[tuple[str, str], Tally] = {}
    disobeyed = 0
    for one in attempts:
        event = _behind(one, events)
        tally = tallies.setdefault(("none" if event is None else event.fault.name, one.lane), Tally())
        tally.attempts += 1
        tally.slowest = max(tally.slowest, one.took)
        ordered = one.lane == "policy" and event is not None and "policy" in event.fault.lanes
        if one.result in (SENT, FAILED):
            began = one.at - one.took
            disobeyed += ordered and event is not None and event.begins + SWITCH_SECONDS < began and one.at < event.ends
        elif not (ordered and one.control == "switches" and event is not None and one.at <= event.over + SWITCH_SECONDS):
            tally.refused += 1
            tally.by[f"{one.result} by {one.control}"] += 1
            if event is not None:
                tally.back = max(tally.back, one.at - event.over)
    received = read_lines(setting.root / "received")
    known = {lane: _recorded(setting, lane) for lane in LANES}
    drift_kb, files = _drift(setting.root / "memory")
    rounds = [
        Round(lane, float(began), float(at), said != "-") for lane, began, at, said in read_lines(setting.root / "canaries")
    ]
    return Verdict(
        seconds=max(one.at for one in attempts) - events[0].begins,
        happened=Counter(event.fault.name for event in events),
        tallies=tallies,
        sent=len(received),
        unrecorded=sum(conversation not in known[lane] for lane, conversation, _ in received),
        leaks=sum(one.leaks for one in attempts) + sum(leaks == "1" for _, _, leaks in received) + _in_files(setting),
        broken=list(_broken(setting)),
        disobeyed=disobeyed,
        drift_kb=drift_kb,
        files=files,
        rounds=len(rounds),
        false_alarms=sum(one.failed and not any(_is_during(one, event) for event in events) for one in rounds),
        alarm_seconds=max(_alarms(rounds, events), default=0.0),
        needs={event.fault.name: event.fault.lanes for event in events},
    )


def _behind(one: Attempt, events: Sequence[Event]) -> Event | None:
    """The fault that an attempt belongs to: the last one, unless an earlier one that it needs is not long over."""
    begun = [event for event in reversed(events) if event.begins <= one.at]
    needed = (event for event in begun if one.lane in event.fault.lanes and one.at <= event.over + MOST_BACK_SECONDS)
    return next(needed, begun[0] if begun else None)


def _is_during(one: Round, event: Event) -> bool:
    return event.begins <= one.at and one.began <= event.over + MOST_BACK_SECONDS


def _alarms(rounds: Sequence[Round], events: Sequence[Event]) -> Iterator[float]:
    """For each fault and each guard that needs what it takes: seconds to the first round that failed, if it lasted for one."""
    for event in events:
        for lane in event.fault.lanes:
            alarms = [one.at - event.begins for one in rounds if one.lane == lane and one.failed and _is_during(one, event)]
            if alarms:
                yield min(alarms)
            elif event.ends - event.begins > CANARY_SECONDS and any(one.lane == lane for one in rounds):
                yield float("inf")


def _recorded(setting: Setting, lane: str) -> set[str]:
    """Conversations of which any sink of the lane has the intent."""
    return {
        str(intent["conversation"])
        for sink in SINKS[lane]
        if setting.audit(sink).exists()
        for intent in intents(setting.audit(sink)).values()
    }


def _in_files(setting: Setting) -> int:
    """Files of the logs, and of what the senders printed, with a planted value."""
    paths = [path for folder in ("audit", "said") for path in (setting.root / folder).rglob("*") if path.is_file()]
    return sum(map(_holds_planted, paths))


def _holds_planted(path: Path) -> bool:
    with path.open("rb") as file:
        return any(_PERSONAL.search(line) for line in file)


def _broken(setting: Setting) -> Iterator[str]:
    """
    Logs with something wrong that no fault explains.

    What a dead or full disk cut short says so of itself. A copy that missed the rest of a stream holds outcomes of which the
    intent is in that rest: the other sink has it, and `_recorded` looks for it there.
    """
    copies = {sink for sinks in SINKS.values() if len(sinks) > 1 for sink in sinks}
    for folder in sorted((setting.root / "audit").iterdir()):
        report = verify_directory(folder)
        is_cut = folder.name in copies and any(one.code == "cut-short" for one in report.completeness)
        alone = [one for one in report.semantics if not (is_cut and one.code == "outcome-alone")]
        wrong = (*report.integrity, *alone, *(one for one in report.completeness if one.code != "cut-short"))
        if wrong:
            yield f"{folder.name} ({', '.join(sorted({one.code for one in wrong}))})"


def _drift(folder: Path) -> tuple[float | None, int]:
    """Of the process that lived longest, once warm: memory in the last tenth of that time against the first; and files."""
    rows = max(
        ([line.split("\t") for line in path.read_text().splitlines()] for path in folder.iterdir()), key=len, default=[]
    )
    rows = [row for row in rows if float(row[0]) - float(rows[0][0]) >= WARM_SECONDS]
    tenth = len(rows) // 10
    if not tenth or float(rows[-1][0]) - float(rows[0][0]) < _DRIFT_SECONDS:
        return None, 0
    early, late = rows[:tenth], rows[-tenth:]
    hours = (float(late[0][0]) - float(early[0][0])) / 3_600

    def middle(some: list[list[str]], column: int) -> float:
        return statistics.median(float(row[column]) for row in some)

    return (middle(late, 1) - middle(early, 1)) / hours, round(middle(late, 3) - middle(early, 3))
