"""The examples run as they stand, from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PLANTED = ("4242 4242 4242 4242", "jamie.fields@example.org", "+1 212 555 0188", "billing.desk@example.net")
SHOWS = {
    "first_guard.py": ["<CREDIT_CARD>", "<EMAIL_ADDRESS>", "not sent: recipient/minute is used up"],
    "async_guard.py": ["thread-0 -> +1 212 555 0100: Your code", "refused: denied by no_promises", "<EMAIL_ADDRESS>"],
    "whatsapp_to_voice.py": [
        "customer reads: I shall confirm to sam.rivers@example.com by phone.",
        "customer hears: Asked to confirm to sam.rivers@example.com",
        "whatsapp: You asked to be reached at <token>",
        "same token everywhere: True",
        "verified by: otp",
    ],
    "streaming_guard.py": ["card <CREDIT_CARD>?", "<PHONE_NUMBER>, or write to <EMAIL_ADDRESS>", "Thank you."],
}


def test_every_example_is_run() -> None:
    assert sorted(SHOWS) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_it_runs_and_shows_masked_text(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)],
        cwd=tmp_path,
        env={**os.environ, "GUARDRAILS_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert [text for text in SHOWS[name] if text not in done.stdout] == []
    logs = b"".join(path.read_bytes() for path in (tmp_path / "audit").iterdir())
    assert b"sam.rivers" not in logs  # whom an example shows to its customer
    assert [value for value in PLANTED if value in done.stdout or value.encode() in logs] == []
