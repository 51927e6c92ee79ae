"""Every finding that the verifier can name is in the runbook, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import guardrails.audit

RUNBOOK = Path(__file__).parent.parent.parent / "docs" / "how-to" / "when-verification-fails.md"
NAMED = re.compile(r'(?:code=|broken\(\s*|_find\(\s*|_about_send\(\s*|find\(\s*"[a-z]+",\s*)f?"([a-z{}.]+(?:-[a-z{}.]+)*)"')


def named_in_the_code() -> set[str]:
    folder = Path(guardrails.audit.__file__).parent
    found = {code for path in folder.glob("*.py") for code in NAMED.findall(path.read_text(encoding="utf-8"))}
    found |= set(re.findall(r'"(removed-early|stream-missing)"', (folder / "verify.py").read_text(encoding="utf-8")))
    if "second-{one.stage}" in found:
        found = found - {"second-{one.stage}"} | {"second-intent", "second-outcome"}
    return found


def test_every_finding_is_in_the_runbook() -> None:
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", RUNBOOK.read_text(encoding="utf-8")))
    codes = named_in_the_code()
    assert len(codes) > 20
    assert codes - told == set()
