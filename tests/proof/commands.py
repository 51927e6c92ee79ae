"""
Runs several commands of `guardrails` in forks of one process that has loaded what is heavy: none sees what another did.

`python -m tests.proof.commands` reads a JSON list of argument lists, and prints a list of [exit code, output, errors].
"""

# ruff: noqa: T201 - its output is read by a test

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from guardrails import MaskPII
from guardrails.cli import main
from guardrails.proof import ablation, canary, doctor, drill, reading

LOADED = (ablation, canary, doctor, drill, reading)


class Told(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def _run(arguments: list[str], folder: Path) -> Told:
    child = os.fork()
    if not child:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv[1:] = arguments
        main()
        raise AssertionError
    _, status = os.waitpid(child, 0)
    return Told(os.waitstatus_to_exitcode(status), (folder / "out").read_text(), (folder / "err").read_text())


if __name__ == "__main__":
    MaskPII(names="off").find("Write to ann@example.com")
    asked = json.load(sys.stdin)
    folder = Path(tempfile.mkdtemp())  # not in a block: a child that exits would take the folder with it
    told = [_run(arguments, folder) for arguments in asked]
    shutil.rmtree(folder)
    print(json.dumps(told))
