"""The example company: four faults, each named by its command with file and line; and none in the repaired copy."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ACME: Final = Path(__file__).parent.parent.parent / "examples" / "acme"
FAULTS: Final = {
    "acme/payments/rules.py",  # a dead control
    "acme/marketing/rules.py",  # a redundant control
    "acme/marketing/campaigns.py",
    "acme/support/calls.py",  # an unguarded send
    "acme/platform/guards.py",  # a drifting limit
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy of the example, so that the log that it writes is not in the repository."""
    there = tmp_path_factory.mktemp("company") / "acme"
    shutil.copytree(ACME, there)
    return there


def command(company: Path, kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "guardrails", *arguments],
        cwd=company / kind,
        env={**os.environ, "GUARDRAILS_KEY": "11" * 32},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def line_of(company: Path, file: str, words: str, kind: str = "faulty") -> str:
    lines = (company / kind / file).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if words in line]
    return f"{file}:{number}"


@pytest.mark.timeout(60)
def test_the_dead_control_is_named_by_the_doctor(company: Path) -> None:
    told = command(company, "faulty", "doctor", "acme.app", "--json", "--workers", "1")
    assert told.returncode == 1
    failed = [one for one in json.loads(told.stdout)["answers"] if one["state"] == "fail"]
    assert {one["about"] for one in failed} == {"no_refund_promises"}
    where = line_of(company, "acme/payments/rules.py", "@check")
    assert all("let example 1 pass" in one["found"] and where in one["found"] for one in failed)


@pytest.mark.timeout(60)
def test_the_dead_and_the_redundant_control_are_named_by_the_overlap(company: Path) -> None:
    told = command(
        company, "faulty", "overlap", "../corpus.jsonl", "--guard", "acme.app", "--fail", "--html", "overlap.html"
    )
    assert told.returncode == 1, told.stderr
    marketing = line_of(company, "acme/marketing/rules.py", '@check(name="acme.NoEmails")')
    payments = line_of(company, "acme/payments/rules.py", "@check")
    redundant = [line for line in told.stdout.splitlines() if "redundant" in line]
    dead = [line for line in told.stdout.splitlines() if " dead " in line]
    assert len(redundant) == len(dead) == 2
    assert all("`acme.NoEmails` caught 12 messages, the platform catches all 12 too; it adds" in one for one in redundant)
    assert all(marketing in one for one in redundant)
    assert all("`no_refund_promises` never fired on 60 messages" in one and payments in one for one in dead)
    html = (company / "faulty" / "overlap.html").read_text()
    assert "acme.NoEmails caught 12 messages" in html
    assert "<svg" in html
    assert "src=" not in html
    assert "http" not in html
    assert "example.com" not in html


@pytest.mark.timeout(60)
def test_the_unguarded_send_is_named_by_sends(company: Path) -> None:
    told = command(company, "faulty", "sends", ".", "--sends-file", "../sends.txt")
    assert told.returncode == 1
    lines = (company / "faulty/acme/support/calls.py").read_text().splitlines()
    number = max(number for number, line in enumerate(lines, 1) if "deliver(" in line)
    assert f"acme/support/calls.py:{number}:12: unguarded: acme.gateway: deliver" in told.stdout
    assert "6 send sites: 5 guarded, 1 unguarded, 0 unknown" in told.stdout


@pytest.mark.timeout(60)
def test_the_drifting_limit_is_named_by_the_inventory(company: Path) -> None:
    told = command(company, "faulty", "inventory", "acme.app")
    assert told.returncode == 1
    where = line_of(company, "acme/platform/guards.py", "50/minute")
    assert (
        f"DRIFT {where}: platform limit recipient/minute is 50/minute; 4 others have 5/minute (owner: platform)"
        in told.stdout
    )
    assert "10 guards: marketing 2, payments 2, platform 5, support 1" in told.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor", "acme.app", "--workers", "1"),
        ("overlap", "../corpus.jsonl", "--guard", "acme.app", "--fail"),
        ("sends", ".", "--sends-file", "../sends.txt", "--strict"),
        ("inventory", "acme.app"),
        ("drill", "acme.app"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_nothing_is_found_in_the_repaired_copy(company: Path, arguments: tuple[str, ...]) -> None:
    told = command(company, "repaired", *arguments)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_two_copies_differ_in_the_faults_alone() -> None:
    faulty = {str(path.relative_to(ACME / "faulty")) for path in (ACME / "faulty").rglob("*.py")}
    repaired = {str(path.relative_to(ACME / "repaired")) for path in (ACME / "repaired").rglob("*.py")}
    assert faulty == repaired
    different = {
        name for name in faulty if not filecmp.cmp(ACME / "faulty" / name, ACME / "repaired" / name, shallow=False)
    }
    assert different == FAULTS
