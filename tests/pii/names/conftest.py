from __future__ import annotations

import pytest

from guardrails.pii import MaskPII


@pytest.fixture(scope="session")
def with_names() -> MaskPII:
    return MaskPII(names="model")
