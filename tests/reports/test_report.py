"""A report is one file that needs nothing else, in which nothing acts, and whose figures can be asked for again."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails.audit import AuditLog, read_records
from guardrails.cli.app import app
from guardrails.core.guard import Guard
from guardrails.errors import ConfigError, Denied, Unavailable
from guardrails.keys import Keys
from guardrails.reports import charts
from guardrails.reports.charts import stacked_over_time
from guardrails.reports.page import escape

ANN = "+12125550173"
EVIL = "<script>alert(1)</script>\"'&{{x}}\u202e=1"


class Control:
    """A control with a name that wants out of its cell; refuses, notes a degradation, or fails."""

    name = EVIL

    async def guard(self, call: Any, forward: Any, _io: Any, /) -> Any:
        text = call.message.text
        if text == "refused":
            raise Denied(EVIL)
        if text == "undecided":
            raise Unavailable("no store", control=self.name)
        call.note("allow", detail={"degraded": text == "degraded"})
        return await forward(call)


class Page(HTMLParser):
    """What a browser would make of it: elements, addresses, ids, and the commands that figures name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "action", "srcset", "data"}:
                self.addresses.append(value or "")
            elif name == "id":
                self.ids.append(value or "")
            elif name.startswith("on"):
                self.handlers.append(name)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["audit", *words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    log = AuditLog(folder / "log", keys=Keys(b"k" * 32), durability="os")
    with Guard(log, Control(), channel=EVIL) as guard:
        send = guard(lambda to, body: (to, body))
        for text in ("sent", "degraded", "refused", "undecided", "sent"):
            try:
                send(ANN, text)
            except (Denied, Unavailable):
                continue
    return folder


def report(folder: Path, *words: str) -> Any:
    kept = ("--index", str(folder / "tables.duckdb"), "--reviews", str(folder / "reviews"))
    return run("report", str(folder / "log"), "-o", str(folder / "report.html"), *kept, *words)


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    said = report(folder)
    assert (said.exit_code, "all verdicts hold" in said.stdout) == (0, True)
    return (folder / "report.html").read_text("utf-8")


def test_a_report_needs_no_network_and_no_script(text: str, folder: Path) -> None:
    page = Page(text)
    assert {"script", "link", "iframe", "object", "embed", "img", "base", "form"}.isdisjoint(page.tags)
    assert [address for address in page.addresses if not address.startswith("#")] == []
    assert page.handlers == []
    assert "url(" not in text.replace("url(#", "")
    assert "default-src 'none'" in text
    assert (folder / "report.html").stat().st_mode & 0o777 == 0o600


def test_ids_are_unlike_each_other_and_every_link_leads_somewhere(text: str) -> None:
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses} <= set(page.ids)


def test_what_a_log_says_stays_text(text: str) -> None:
    assert "<script" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text
    assert ANN not in text


def test_no_message_and_no_canary_is_in_a_report(text: str) -> None:
    assert "2125550173" not in text
    assert "undecided" in text  # the word of the report, not the message


def test_every_figure_can_be_asked_for_again(text: str, folder: Path) -> None:
    commands = [unescape(part.partition("</code>")[0]) for part in text.split("<pre><code>")[1:]]
    assert len(commands) == 9
    for command in commands:
        program, *words = shlex.split(command)
        assert (program, words[:3]) == ("guardrails", ["audit", "query", "log"])
        words = [*words[1:2], str(folder / "log"), *words[3:], "--index", str(folder / "tables.duckdb")]
        said = run(*words, "--format", "jsonl", "--reviews", str(folder / "reviews"))
        assert said.exit_code == 0, said.stderr
        assert all(isinstance(json.loads(line), dict) for line in said.stdout.splitlines())


def test_figures_count_what_is_on_record(text: str) -> None:
    assert "<b>3</b><span>messages sent</span>" in text
    assert "<b>2</b><span>refused (40.0%)</span>" in text
    assert "<b>1</b><span>degraded decisions</span>" in text
    assert "could not decide" in text


def test_a_broken_log_says_so_in_words_and_by_exit_code(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for path in (folder / "log").iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        (tmp_path / "log" / path.name).write_bytes(b"".join(lines[:2] + lines[3:]))
    said = report(tmp_path)
    assert said.exit_code == 1
    assert "BROKEN" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("words", [("--since", "2030-01-01"), ("--until", "x"), ("--anchor", "nowhere")])
def test_a_report_about_nothing_is_a_mistake_in_one_line(folder: Path, words: tuple[str, ...]) -> None:
    said = report(folder, *words)
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)


def test_a_report_that_cannot_be_written_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    said = report(folder, "-o", str(tmp_path / "no" / "report.html"))
    assert (said.exit_code, list(tmp_path.iterdir())) == (2, [])


def test_only_a_part_of_the_time_is_reported_if_asked(folder: Path, tmp_path: Path) -> None:
    last = max(record["ts"] for record in read_records(folder / "log"))
    said = report(folder, "-o", str(tmp_path / "part.html"), "--since", last)
    assert (said.exit_code, "<b>0</b><span>messages sent" in (tmp_path / "part.html").read_text("utf-8")) == (0, True)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigError, match=r"platform-guardrails\[desk\]"):
        charts.svg({}, name="x", label="x", width=charts.WIDE)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert "platform-guardrails[desk]" in report(folder).stderr


def test_control_characters_and_markup_are_escaped() -> None:
    assert escape("<b>\x1b\u202e&\"'") == "&lt;b&gt;\\x1b\\u202e&amp;&quot;&#x27;"


@pytest.mark.parametrize(
    ("unit", "end"),
    [
        ("minute", {"year": 2026, "month": 12, "date": 31, "hours": 23, "minutes": 60}),
        ("hour", {"year": 2026, "month": 12, "date": 31, "hours": 24}),
        ("day", {"year": 2026, "month": 12, "date": 32}),
        ("month", {"year": 2027, "month": 1}),
    ],
)
def test_a_log_of_one_moment_has_one_whole_bar(unit: str, end: dict[str, int]) -> None:
    at = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)
    spec = stacked_over_time([], x="time", y="n", by="kind", kinds=(), unit=unit, span=(at, at))
    assert spec["encoding"]["x"]["scale"]["domain"][1] == {**end, "utc": True}
