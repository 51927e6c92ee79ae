"""`guardrails models` as a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_status_of_an_installed_model(run: Run) -> None:
    done = run("models", "status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "unchanged" in done.stdout


def test_status_without_a_model_says_what_to_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_MODELS", str(tmp_path / "none"))
    done = run("models", "status")
    assert done.returncode == 1
    assert "guardrails models install" in done.stdout


def test_install_of_an_installed_model_does_nothing(run: Run) -> None:
    done = run("models", "install")
    assert done.returncode == 0
    assert done.stdout.startswith("already installed: ")


def test_install_from_something_else_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_MODELS", str(tmp_path / "none"))
    (tmp_path / "x.whl").write_text("no wheel")
    done = run("models", "install", "--from", "x.whl")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nothing was installed" in done.stderr
    assert not (tmp_path / "none").exists()
