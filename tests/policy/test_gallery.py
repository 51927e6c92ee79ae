"""The gallery: policies to start from, whose own examples hold."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from guardrails.policy.examples import outcomes
from guardrails.policy.stacks import all_made
from guardrails.policy.version import read_version

GALLERY: Final = Path(__file__).parent.parent.parent / "examples" / "policies"
WANTED: Final = {
    "email-campaigns", "hipaa-leaning", "llm-gateway", "pci-leaning", "sms-notifications", "voice-agent",
    "whatsapp-support-agent",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WANTED))
def test_every_example_of_a_policy_of_the_gallery_holds(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.yaml"  # its stores lie beside it
    path.write_bytes((GALLERY / f"{name}.yaml").read_bytes())
    tried = list(outcomes(all_made(read_version(path))))
    assert [(name, failure.text) for name, failure in tried if failure is not None] == []
    assert len(tried) >= 3


def test_the_gallery_has_no_other_policies() -> None:
    assert {path.stem for path in GALLERY.glob("*.yaml")} == WANTED
