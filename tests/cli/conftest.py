"""The command line as its user runs it: a process of its own, in an empty folder, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `python -m guardrails` with arguments; returns when it has ended."""

    def run_it(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "GUARDRAILS_HOME": str(tmp_path / "home"),
            "COLUMNS": "100",
            "TERM": "dumb",
            "NO_COLOR": "1",
        }
        environment.pop("GUARDRAILS_KEY", None)
        return subprocess.run(
            [sys.executable, "-m", "guardrails", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run_it
