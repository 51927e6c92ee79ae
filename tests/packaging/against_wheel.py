"""
Builds the wheel, installs it into a clean venv, and runs the tests there, with no source in sight.

A file that is missing from the wheel, or a dependency that only the development tools bring, shows here and nowhere else.
Run it as `make wheel`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTED = ("tests", "examples", "docs", "bench", "site")


def run(*command: str | Path, cwd: Path) -> None:
    environment = {"GUARDRAILS_MODELS": str(MODELS), **os.environ}
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env=environment)


# The model that this environment has serves the clean one: it is data, not a part of the wheel.
MODELS = Path(sys.prefix) / "share" / "guardrails" / "models"


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", work / "dist", ROOT, cwd=work)
        (wheel,) = (work / "dist").glob("*.whl")
        venv.create(work / "venv", with_pip=True)
        python = work / "venv" / "bin" / "python"
        run(
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"{wheel}[test,integrations-test]",
            cwd=work,
        )
        clean = work / "clean"
        clean.mkdir()
        for entry in (ROOT / name for name in TESTED):
            if entry.is_dir():
                shutil.copytree(entry, clean / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        for entry in (*ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "LICENSE"):
            shutil.copy(entry, clean)
        run(
            python,
            "-c",
            "import guardrails, pathlib, sys; assert pathlib.Path(guardrails.__file__).is_relative_to(sys.prefix)",
            cwd=clean,
        )
        run(python, "-m", "pytest", "-n", "2", *arguments, cwd=clean)


if __name__ == "__main__":
    main(sys.argv[1:])
