"""What names, texts and numbers in a policy file look like."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field, StringConstraints

from guardrails.policy.order import Ranked

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
Entity: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000_000)]
Score: TypeAlias = Annotated[float, Field(ge=0, le=1)]

MODE: Final = Ranked("monitor", "enforce")
MODE_SAYS: Final = '"enforce", or "monitor": the control only watches, and the record says what it would have done'
