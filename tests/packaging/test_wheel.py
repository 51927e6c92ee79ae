"""What is in the wheel, and what is not."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.skipif(not (ROOT / "src").exists(), reason="tested against the wheel: there is no source"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    target = tmp_path_factory.mktemp("dist")
    # Without isolation: nothing is fetched.
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.timeout(120)
def test_the_wheel_holds_the_packages_their_data_and_the_licence(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())

    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert source <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"guardrails", "_platform_guardrails"}
    assert "guardrails/py.typed" in names
    assert "guardrails/cli/data/conversation.jsonl" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert any(name.endswith("/licenses/NOTICE") for name in names)


@pytest.mark.timeout(120)
def test_both_commands_are_installed(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))

    points = wheel.read(name).decode()

    assert "guardrails = guardrails.cli:main" in points
    assert "platform-guardrails = _platform_guardrails:main" in points
