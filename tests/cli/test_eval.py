"""`guardrails eval` measures, and shows nothing that is personal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from guardrails.cli.app import app

ROWS = [
    {"text": "Hi Ann, call +1 212 555 0173", "spans": [[3, 6, "PERSON"], [13, 28, "PHONE"]]},
    {"text": "mail bob@example.com at seven", "spans": []},
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_it_prints_the_figures_and_the_worst_messages_as_shapes(gold: Path) -> None:
    done = run(gold, "--names", "off")
    assert done.exit_code == 0
    assert done.output.startswith("2 messages: leak 0.2143, over-mask 0.4333, wholly masked 0.5000, flagged 1.0000\n")
    assert "line 1: Hi [PERSON Xxx], call +9 999 999 9999" in done.output
    assert "line 2: mail [EMAIL_ADDRESS xxx@xxxxxxx.xxx] at seven" in done.output
    assert "Ann" not in done.output
    assert "bob" not in done.output


def test_it_writes_a_page_and_json(gold: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run(gold, "--names", "off", "--html", page, "--json")
    assert json.loads(done.output)["gold"]["PHONE"] == {"count": 1, "recall": 1.0, "whole": 1.0, "leak": 0.0}
    html = page.read_text()
    assert "<svg" in html
    assert "bob" not in html


def test_a_leak_above_the_bound_is_exit_code_1(gold: Path) -> None:
    assert run(gold, "--names", "off", "--fail-above", "0.3").exit_code == 0
    assert run(gold, "--names", "off", "--fail-above", "0.2").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--names", "everything"], 'use "model"'),
        (["--names", "off", "--country", "zz"], "no recognizers for 'zz'"),
        (["--names", "off", "--html", "no/such/folder/page.html"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(gold: Path, arguments: list[str], says: str) -> None:
    done = run(gold, *arguments)
    assert done.exit_code == 2
    assert says in done.output
    assert done.output.count("\n") == 1


def test_a_file_that_cannot_be_used_is_exit_code_2(tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.jsonl", tmp_path / "broken.jsonl"
    empty.write_text("")
    broken.write_text('{"text": "ann@example.com"}\n')
    assert "holds no message" in run(empty, "--names", "off").output
    done = run(broken, "--names", "off")
    assert (done.exit_code, "line 1 is not" in done.output, "ann@" in done.output) == (2, True, False)
