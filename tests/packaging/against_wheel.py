"""
Builds the wheel, installs it into a clean venv, and runs the tests there, with no source in sight.

A file that is missing from the wheel, or a dependency that only the development tools bring, shows here and nowhere else.
Run it as `make wheel`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTED = ("tests", "examples", "docs")


def run(*command: str | Path, cwd: Path) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


def _how_tests_run() -> str:
    """The section of pyproject.toml that pytest reads; with the rest of it, the source would be in sight."""
    title = "[tool.pytest.ini_options]"
    section = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8").partition(title)[2]
    return title + section.partition("\n[")[0] + "\n"


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", work / "dist", ROOT, cwd=work)
        (wheel,) = (work / "dist").glob("*.whl")
        venv.create(work / "venv", with_pip=True)
        python = work / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[test]", cwd=work)
        clean = work / "clean"
        for name in TESTED:
            shutil.copytree(ROOT / name, clean / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "README.md", clean)
        (clean / "pyproject.toml").write_text(_how_tests_run(), encoding="utf-8")
        run(
            python,
            "-c",
            "import guardrails, pathlib, sys; assert pathlib.Path(guardrails.__file__).is_relative_to(sys.prefix)",
            cwd=clean,
        )
        run(python, "-m", "pytest", "-n", "2", *arguments, cwd=clean)


if __name__ == "__main__":
    main(sys.argv[1:])
