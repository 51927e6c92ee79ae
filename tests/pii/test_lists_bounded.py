"""Lists of words are bounded: a list that takes minutes to compile is refused, and says what to do instead (G11)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from guardrails import MaskPII
from guardrails.errors import ConfigError
from guardrails.pii.lists import MOST_CHARACTERS, MOST_WORDS


def words(number: int) -> list[str]:
    return [f"w{one}x" for one in range(number)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaskPII(names="off", deny=words(MOST_WORDS + 1)),
        lambda: MaskPII(names="off", deny={"ONE": words(MOST_WORDS), "TWO": ["word"]}),
        lambda: MaskPII(names="off", allow=words(MOST_WORDS + 1)),
        lambda: MaskPII(names="off", deny=["x" * (MOST_CHARACTERS + 1)]),
        lambda: MaskPII(names="off", allow=["x" * MOST_CHARACTERS, "y"]),
    ],
)
def test_g11_a_list_over_its_bound_is_refused_at_once(make: Callable[[], MaskPII]) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"at most .*recognizers="):
        make()
    assert time.monotonic() - began < 10  # it would take minutes


def test_a_list_at_its_bound_is_taken() -> None:
    mask = MaskPII(names="off", allow=words(MOST_WORDS), deny=["zebra", *words(100)])
    assert mask.mask("a zebra and w7x")[0] == "a <DENIED> and w7x"
