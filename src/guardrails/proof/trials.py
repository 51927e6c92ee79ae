"""
Each control by itself: what it says that it refuses, it must refuse.

A check names texts (`refuses`); any other control says how it is brought to refuse (`refuses_rehearsal`): by counting rehearsals
of one name, by overlapping ones, at a time when it must, or by something that is planted for the rehearsal and taken away again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from guardrails.core.rehearsal import Rehearsed, Staged, rehearse, staged
from guardrails.core.trial import Trial, trial_of
from guardrails.errors import Denied
from guardrails.proof.planting import recipient
from guardrails.proof.round import FAILED, HELD, UNTRIED, Round, said

if TYPE_CHECKING:
    from guardrails.core.message import Message
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

_TEXT = "This is a test of the guardrails."


def try_alone(plan: Plan, this: Round) -> None:
    """Every control of *plan* that this round has not tried yet."""
    for slot in chosen(plan, this).stack.slots:
        if id(slot.control) in this.tried:
            continue
        this.tried.add(id(slot.control))
        trial = trial_of(slot.control)
        if trial is not None:
            _try_trial(plan, this, slot, trial)
        elif slot.kind == "limit":
            this.add(slot, plan, "limit", UNTRIED, "it does not say which rehearsal it refuses")
        elif texts := _refusable(slot):
            _try_refusal(plan, this, slot, texts)
        elif slot.kind is None:
            this.add(slot, plan, "refuses", UNTRIED, "it does not say what it refuses: @check(refuses=[...])")


def chosen(plan: Plan, this: Round) -> Plan:
    """*plan* with the controls of a message of this round."""
    return _staged(plan, this, "canary", this.name, recipient(plan.channel)).plan


def _staged(plan: Plan, this: Round, text: str, name: str, to: str) -> Staged:
    return staged(plan, text, recipient=to, tenant=this.tenant, conversation=name)


def _refusable(slot: Slot) -> Sequence[str]:
    texts = getattr(slot.control, "refuses", ())
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _try_refusal(plan: Plan, this: Round, slot: Slot, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts, 1):
        name = f"{this.name}-{number}"
        done = _alone(this, slot, _staged(plan, this, text, name, recipient(plan.channel)), name)
        refused = isinstance(done.error, Denied)
        why = "" if refused else f"let example {number} pass" if done.error is None else said(done.error)
        this.add(slot, plan, "refuses", HELD if refused else FAILED, why)


def _alone(
    this: Round,
    slot: Slot,
    stage: Staged,
    name: str,
    *,
    trial: Trial | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Rehearsed:
    return rehearse(
        stage,
        name=name,
        route=[this.broken.get(slot, slot)],
        ids={"tenant": this.tenant, "conversation": name, "actor": "canary"},
        now=None if trial is None or trial.at is None else trial.at(_message(stage)),
        meanwhile=meanwhile,
    )


def _recipients(channel: str, trial: Trial) -> list[str]:
    """Of each rehearsal."""
    if not trial.others:
        return [recipient(channel)] * trial.rehearsals
    found: dict[str, None] = {}
    while len(found) < trial.rehearsals:
        found[recipient(channel)] = None
    return list(found)


def _message(stage: Staged) -> Message:
    return stage.plan.binding.read(*stage.arguments).message


def _try_trial(plan: Plan, this: Round, slot: Slot, trial: Trial) -> None:
    tried = "limit" if slot.kind == "limit" else "refuses"
    last = None
    for _ in range(2):  # a window that ends between two rehearsals is no failure; twice in a row is
        name = f"{this.name}-{secrets.token_hex(4)}"
        with ExitStack() as planted:
            to = _recipients(plan.channel, trial)
            stages = [_staged(plan, this, _TEXT, name, one) for one in to]
            if trial.planted is not None:
                try:
                    planted.enter_context(trial.planted(name, _message(stages[0])))
                except Exception as error:  # noqa: BLE001 - a list that takes nothing from here says nothing of the control
                    this.add(slot, plan, tried, UNTRIED, f"nothing can be planted for it: {said(error)}")
                    return
            last = (
                _overlapping(this, slot, stages, name, trial)
                if trial.overlapping
                else _in_turn(this, slot, stages, name, trial)
            )
        if last.error is not None:
            break
    assert last is not None  # noqa: S101 - there were two
    refused = isinstance(last.error, Denied)
    why = "" if refused else "admitted everything" if last.error is None else said(last.error)
    this.add(slot, plan, tried, HELD if refused else FAILED, why)


def _in_turn(this: Round, slot: Slot, stages: Sequence[Staged], name: str, trial: Trial) -> Rehearsed:
    """What came of the last one; of the first that did not pass."""
    done = _alone(this, slot, stages[0], name, trial=trial)
    for stage in stages[1:]:
        if done.error is not None:
            break
        done = _alone(this, slot, stage, name, trial=trial)
    return done


def _overlapping(this: Round, slot: Slot, stages: Sequence[Staged], name: str, trial: Trial) -> Rehearsed:
    """The same, each while the one before it is in its send."""
    inner: list[Rehearsed] = []

    def begin() -> None:
        inner.append(_overlapping(this, slot, stages[1:], name, trial))

    done = _alone(this, slot, stages[0], name, trial=trial, meanwhile=begin if len(stages) > 1 else None)
    return inner[0] if inner and done.error is None else done
