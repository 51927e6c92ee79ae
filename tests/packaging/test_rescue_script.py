"""`platform-guardrails` still runs when another distribution installed its own `guardrails` over ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import _platform_guardrails

RUN = "import _platform_guardrails; _platform_guardrails.main()"


def start(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script, with *path* first on sys.path: what stands there wins, as the last installed distribution does."""
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(Path(_platform_guardrails.__file__).parents[1])])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def install(site: Path, distribution: str, files: dict[str, str]) -> None:
    """What an installer would leave behind: files, and the metadata that says whose they are."""
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content)
    info = site / f"{distribution.replace('-', '_')}-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 9.9\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))


def test_it_is_the_same_command_line(tmp_path: Path) -> None:
    done = start(tmp_path, "--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "files",
    [
        {"guardrails/__init__.py": "raise RuntimeError('jamie.fields@example.org')"},
        {"guardrails/__init__.py": "class Guard: ...", "guardrails/cli/__init__.py": "def main(): print('theirs')"},
        {"guardrails/__init__.py": "", "guardrails/agents.py": ""},
        {"guardrails/__init__.py": "", "guardrails/errors/__init__.py": "", "guardrails/cli/__init__.py": ""},
    ],
    ids=["raises", "has a cli of its own", "has no cli", "mixed with ours"],
)
def test_it_says_who_won_and_how_to_fix_it(tmp_path: Path, files: dict[str, str]) -> None:
    install(tmp_path, "guardrails-elsewhere", files)

    done = start(tmp_path, "--version")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "is not ours" in done.stderr
    assert "guardrails-elsewhere" in done.stderr
    assert "pip uninstall guardrails-elsewhere" in done.stderr
    assert "pip install --force-reinstall --no-deps platform-guardrails" in done.stderr
    assert "Traceback" not in done.stderr
    assert "jamie" not in done.stderr


def test_a_stray_folder_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "guardrails").mkdir()
    (tmp_path / "guardrails" / "__init__.py").write_text("")

    done = start(tmp_path, "--version")

    assert done.returncode == 1
    assert "earlier on sys.path" in done.stderr


def test_without_any_package_it_says_so(tmp_path: Path) -> None:
    alone = tmp_path / "_platform_guardrails"
    alone.mkdir()
    (alone / "__init__.py").write_text(Path(_platform_guardrails.__file__).read_text())

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {RUN}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert "there is none" in done.stderr
