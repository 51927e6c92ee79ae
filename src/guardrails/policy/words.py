"""What names, texts and numbers in a policy file look like."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from guardrails.policy.order import Ranked
from guardrails.policy.values import Duration, refuse


def _a_number(version: object) -> object:
    if isinstance(version, bool) or not isinstance(version, int):  # true is 1, to everybody else
        refuse("a whole number belongs here")
    return version


def _written_out(path: str) -> str:
    if "${" in path:
        refuse("${NAME} stands for secrets only; write the path out, or put it where the policy file lies")
    return path


def _more_than_nothing(seconds: float) -> float:
    return seconds if seconds > 0 else refuse("a duration of more than nothing")


Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
Entity: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
PathText: TypeAlias = Annotated[Text, AfterValidator(_written_out)]
Length: TypeAlias = Annotated[Duration, AfterValidator(_more_than_nothing)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Score: TypeAlias = Annotated[float, Field(ge=0, le=1)]

Version: TypeAlias = Annotated[Literal[1], BeforeValidator(_a_number)]

MODE: Final = Ranked("monitor", "enforce")
MODE_SAYS: Final = '"enforce", or "monitor": the control only watches, and the record says what it would have done'
