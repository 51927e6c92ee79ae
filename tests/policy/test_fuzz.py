"""Whatever stands in a policy file: a policy, or an error with its problems; never a traceback, never half a policy."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardrails.policy.document import parsed
from guardrails.policy.model import PolicyFile
from guardrails.policy.problems import PolicyError
from guardrails.policy.setting import Settings, forms_of
from guardrails.policy.version import Version

WORDS = st.sampled_from(
    ["recipient", "5/minute", "enforce", "monitor", "off", "model", "keep", "block", "DEFAULT", "URL", "2s", "${X}", "", "a"]
)  # fmt: skip
SCALARS = WORDS | st.integers(-5, 5) | st.booleans() | st.none() | st.floats(0, 2)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


def like(kind: type[Settings]) -> st.SearchStrategy[Any]:
    """Something like these settings: right keys, and values that are right, nearly right, or anything."""
    inside: dict[str, st.SearchStrategy[Any]] = {}
    for form in forms_of(kind).values():
        value = ANYTHING
        if form.holds is not None:
            holds = like(form.holds)
            named = st.dictionaries(st.sampled_from(["a", "b", "sms"]), holds, max_size=2)
            value = (holds if form.direct else named | st.lists(holds, max_size=2)) | ANYTHING
        inside[form.key] = value
    return st.fixed_dictionaries({}, optional=inside)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(like(PolicyFile) | ANYTHING)
def test_anything_is_a_policy_or_an_error_with_its_problems(data: Any) -> None:
    raw = json.dumps(data).encode()  # JSON is YAML
    problems: object = "none"
    try:
        Version(parsed(raw, "p.yaml"))
    except PolicyError as error:
        problems = error.problems
    assert problems
