"""What `guardrails doctor` finds: one line a question, and for each that is not well, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from guardrails.errors import GuardrailsError

OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "fail"
SKIP: Final = "skip"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer to one question.

    Args:
        about: What was looked at, such as "key file".
        state: "ok", "warn" (works, and may not be what you want), "fail", or "skip" (cannot be told here).
        found: What was found.
        todo: What to do about it; empty when nothing.
    """

    about: str
    state: str
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """
    Everything that was asked.

    Args:
        answers: In the order of the questions.
    """

    answers: Sequence[Answer]

    @property
    def exit_code(self) -> int:
        """0: nothing fails; warnings are for you to judge. 1: something fails."""
        return int(any(answer.state == FAIL for answer in self.answers))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ok": not self.exit_code,
            "answers": [
                {"about": one.about, "state": one.state, "found": one.found, "todo": one.todo} for one in self.answers
            ],
        }

    def lines(self) -> Iterable[str]:
        """For a terminal."""
        width = max((len(one.about) for one in self.answers), default=0)
        for one in self.answers:
            yield f"{one.state:4}  {one.about:{width}}  {one.found}"
            if one.todo:
                yield f"      {'':{width}}  -> {one.todo}"
        counts = {state: sum(one.state == state for one in self.answers) for state in (OK, WARN, FAIL, SKIP)}
        yield ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def asked(about: str, question: Callable[[], Answer | Iterable[Answer]]) -> list[Answer]:
    """The answers to *question*; that it could not be asked is an answer too."""
    try:
        answer = question()
        return [answer] if isinstance(answer, Answer) else list(answer)
    except GuardrailsError as error:
        return [Answer(about, FAIL, f"{type(error).__name__}: {error}")]
    except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody
        return [Answer(about, FAIL, f"could not be looked at ({type(error).__name__})", "please report this")]
