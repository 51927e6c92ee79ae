from __future__ import annotations

import pytest

from guardrails.pii import MaskPII


@pytest.fixture(scope="session")
def mask_pii() -> MaskPII:
    return MaskPII(names="off")
