"""The example company: four faults, each named by its command with file and line; and none in the repaired copy."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import pytest

from tests.proof.commands import Told

ROOT: Final = Path(__file__).parent.parent.parent
ACME: Final = ROOT / "examples" / "acme"
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


COMMANDS: Final[dict[str, list[str]]] = {
    "doctor": ["doctor", "acme.app", "--json", "--workers", "1"],
    "overlap": ["overlap", "../corpus.jsonl", "--guard", "acme.app", "--fail", "--html", "overlap.html"],
    "sends": ["sends", ".", "--sends-file", "../sends.txt", "--strict"],
    "inventory": ["inventory", "acme.app"],
    "drill": ["drill", "acme.app"],
}


def told_by(company: Path, kind: str, names: Collection[str]) -> dict[str, Told]:
    """What each command says of one copy, from one import of it."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.proof.commands"],
        cwd=company / kind,
        env={**os.environ, "GUARDRAILS_KEY": "11" * 32, "PYTHONPATH": f"{company / kind}:{ROOT}"},
        input=json.dumps([COMMANDS[name] for name in names]),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return {name: Told(*told) for name, told in zip(names, json.loads(ran.stdout), strict=True)}


@pytest.fixture(scope="module")
def faulty(company: Path) -> dict[str, Told]:
    return told_by(company, "faulty", ["doctor", "overlap", "sends", "inventory"])


@pytest.fixture(scope="module")
def repaired(company: Path) -> dict[str, Told]:
    return told_by(company, "repaired", list(COMMANDS))


def line_of(company: Path, file: str, words: str, kind: str = "faulty") -> str:
    lines = (company / kind / file).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if words in line]
    return f"{file}:{number}"


@pytest.mark.timeout(120)
def test_the_dead_control_is_named_by_the_doctor(company: Path, faulty: dict[str, Told]) -> None:
    told = faulty["doctor"]
    assert told.code == 1
    failed = [one for one in json.loads(told.out)["answers"] if one["state"] == "fail"]
    assert {one["about"] for one in failed} == {"no_refund_promises"}
    where = line_of(company, "acme/payments/rules.py", "@check")
    assert all("let example 1 pass" in one["found"] and where in one["found"] for one in failed)


@pytest.mark.timeout(120)
def test_the_dead_and_the_redundant_control_are_named_by_the_overlap(company: Path, faulty: dict[str, Told]) -> None:
    told = faulty["overlap"]
    assert told.code == 1, told.err
    marketing = line_of(company, "acme/marketing/rules.py", '@check(name="acme.NoEmails")')
    payments = line_of(company, "acme/payments/rules.py", "@check")
    redundant = [line for line in told.out.splitlines() if "redundant" in line]
    dead = [line for line in told.out.splitlines() if " dead " in line]
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


@pytest.mark.timeout(120)
def test_the_unguarded_send_is_named_by_sends(company: Path, faulty: dict[str, Told]) -> None:
    told = faulty["sends"]
    assert told.code == 1
    lines = (company / "faulty/acme/support/calls.py").read_text().splitlines()
    number = max(number for number, line in enumerate(lines, 1) if "deliver(" in line)
    assert f"acme/support/calls.py:{number}:12: unguarded: acme.gateway: deliver" in told.out
    assert "6 send sites: 5 guarded, 1 unguarded, 0 unknown" in told.out


@pytest.mark.timeout(120)
def test_the_drifting_limit_is_named_by_the_inventory(company: Path, faulty: dict[str, Told]) -> None:
    told = faulty["inventory"]
    assert told.code == 1
    where = line_of(company, "acme/platform/guards.py", "50/minute")
    assert (
        f"DRIFT {where}: platform limit recipient/minute is 50/minute; 4 others have 5/minute (owner: platform)" in told.out
    )
    assert "10 guards: marketing 2, payments 2, platform 5, support 1" in told.out


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_found_in_the_repaired_copy(name: str, repaired: dict[str, Told]) -> None:
    told = repaired[name]
    assert told.code == 0, told.out + told.err


def test_the_two_copies_differ_in_the_faults_alone() -> None:
    faulty = {str(path.relative_to(ACME / "faulty")) for path in (ACME / "faulty").rglob("*.py")}
    repaired = {str(path.relative_to(ACME / "repaired")) for path in (ACME / "repaired").rglob("*.py")}
    assert faulty == repaired
    different = {
        name for name in faulty if not filecmp.cmp(ACME / "faulty" / name, ACME / "repaired" / name, shallow=False)
    }
    assert different == FAULTS
