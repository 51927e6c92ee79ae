"""
The documentation is tested: its examples run, its links lead somewhere, its tables are the code's.

How a page runs: its `python` fences become one module with the same line numbers, and `console` fences run the command
line in between, all in a fresh folder and process. What `output` and `console` fences show is compared with what was
printed; `...` stands for anything on a line.

`python tests/docs/test_docs.py` writes the `--help` blocks of the command line's page anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import starmap
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import typer.main

import guardrails
from guardrails import Caps, errors
from guardrails.audit.bounds import Bounds
from guardrails.core import selectors
from guardrails.core.control import DEADLINE_SECONDS
from guardrails.core.refusal import REASON_CHARACTERS
from guardrails.core.stack import MEMORY
from guardrails.ratelimit.control import MAX_KEYS
from guardrails.ratelimit.limit import MAX_LOGGED, MAX_WINDOW_SECONDS

ROOT: Final = Path(__file__).parent.parent.parent
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(path for path in (ROOT / "README.md", *DOCS.rglob("*.md")) if path.is_file())
COMMAND_LINE: Final = DOCS / "reference" / "command-line.md"
WIDTH: Final = "100"

_FENCE: Final = re.compile(r"^```(?P<kind>[a-z]*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
_HELP: Final = re.compile(r"<!-- help: (?P<command>[a-z -]+) -->\n```text\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_ROW: Final = re.compile(r"^\| `(?P<name>\w+)` \| (?P<value>[\d,]+) \| .+ \|$", re.MULTILINE)


class Fence(NamedTuple):
    """One fenced block of a page."""

    kind: str
    body: str
    line: int


def _fences(text: str) -> Iterator[Fence]:
    for found in _FENCE.finditer(text):
        yield Fence(found["kind"], found["body"], text.count("\n", 0, found.start("body")))


def _named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _module(page: Path) -> tuple[str, str]:
    """The page as a program with the same line numbers, and what it must print."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    printed: list[str] = []
    for fence in _fences(text):
        body = fence.body.splitlines()
        if fence.kind == "python":
            lines[fence.line : fence.line + len(body)] = body
        elif fence.kind == "output":
            printed += body
        elif fence.kind == "console":
            for number, line in enumerate(body):
                if line.startswith("$ "):
                    lines[fence.line + number] = f"_command({line[2:]!r})"
                else:
                    printed.append(line)
    return "\n".join(lines), "\n".join(printed)


_PRELUDE: Final = """\
import builtins, shlex, subprocess, sys
def _command(line):
    program, *arguments = shlex.split(line)
    assert program == "guardrails", line
    sys.stdout.flush()
    ran = subprocess.run([sys.executable, "-m", "guardrails", *arguments], capture_output=True, text=True)
    print(ran.stdout + ran.stderr, end="")
builtins._command = _command
"""


def _environment(home: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "GUARDRAILS_MODELS" or not name.startswith(("GUARDRAILS", "XDG"))
    }
    return {
        **kept,
        "GUARDRAILS_HOME": str(home),
        "COLUMNS": WIDTH,
        "TERMINAL_WIDTH": WIDTH,
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


def _matches(shown: str, printed: str) -> bool:
    pattern = "\n".join(".*".join(map(re.escape, line.rstrip().split("..."))) for line in shown.strip().splitlines())
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.strip().splitlines())) is not None


@pytest.mark.timeout(60)  # a page takes two seconds, and processes on a busy machine take their time
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(fence.kind in {"python", "console"} for fence in _fences(page.read_text("utf-8")))],
    ids=_named,
)
def test_every_example_of_a_page_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    program, shown = _module(page)
    (tmp_path / "page").mkdir()
    # The module's name is the page's, its lines are the page's: an error points into the page.
    (tmp_path / "page" / "example.py").write_text(program, encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(_PRELUDE, encoding="utf-8")
    environment = _environment(tmp_path / "home")
    environment["PYTHONPATH"] = str(tmp_path)
    ran = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path / "page",
        env=environment,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ran.returncode == 0, f"{_named(page)}\n{ran.stdout}\n{ran.stderr}"
    assert not shown or _matches(shown, ran.stdout), f"{_named(page)} shows\n{shown}\nbut prints\n{ran.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    broken = []
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for found in _LINK.finditer(prose):
        target, _, anchor = found["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / target).resolve() if target else page
        if not there.exists() or (anchor and anchor not in _anchors(there)):
            broken.append(found["target"])
    assert broken == []


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:src|tests|bench|examples|docs)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_no_page_names_a_folder_of_somebodys_machine(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|work|root|Users)/\S*", page.read_text(encoding="utf-8")) == []


def _everything() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def _unmentioned(names: Sequence[str]) -> list[str]:
    text = _everything()
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]


def test_every_public_name_is_mentioned() -> None:
    assert _unmentioned([name for name in guardrails.__all__ if not name.startswith("_")]) == []


def test_every_error_class_is_mentioned() -> None:
    assert _unmentioned([name for name, value in vars(errors).items() if isinstance(value, type)]) == []


def test_every_extra_is_mentioned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for name in project["optional-dependencies"] if name not in {"dev", "integrations-test", "test"}]
    assert _unmentioned([f"platform-guardrails[{name}]" for name in extras]) == []


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not command.hidden:
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from _commands(inner, f"{path} {name}")


def _command_line() -> dict[str, Any]:
    from guardrails.cli.app import app  # noqa: PLC0415 - the command line is not loaded for the other tests

    return dict(_commands(typer.main.get_command(app), "guardrails"))


def _help(command: str) -> str:
    _, *arguments = command.split()
    ran = subprocess.run(
        [sys.executable, "-m", "guardrails", *arguments, "--help"],
        env=_environment(Path("unused")),
        capture_output=True,
        text=True,
        timeout=55,
        check=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in ran.stdout.strip().splitlines())


def test_every_command_has_its_help_on_the_command_lines_page() -> None:
    assert sorted(_command_line()) == sorted(_SHOWN)


_SHOWN = {found["command"]: found["body"] for found in _HELP.finditer(COMMAND_LINE.read_text(encoding="utf-8"))}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", sorted(_SHOWN))
def test_the_help_that_is_shown_is_the_help_that_is_printed(command: str) -> None:
    assert _help(command) == _SHOWN[command]


def test_the_error_tree_is_the_one_in_the_code() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    drawn = re.search(r"^    GuardrailsError .*?(?=\n\n)", errors.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert drawn is not None
    tree = "".join(f"{line[4:]}\n" for line in drawn[0].splitlines())
    assert tree in [fence.body for fence in _fences(page)]


def test_the_error_tree_holds_every_error_under_its_parent() -> None:
    drawn: list[tuple[str, str]] = []
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"( +)([A-Z][A-Za-z]+) ", line)
        if found is None:
            continue
        depth, name = len(found[1]), found[2]
        above = [(far, one) for far, one in above if far < depth]
        drawn.append((name, above[-1][1] if above else "Exception"))
        above.append((depth, name))
    real = [
        (name, value.__base__.__name__)
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.GuardrailsError) and value.__base__ is not None
    ]
    assert sorted(real) == sorted(drawn)


@pytest.mark.parametrize(("title", "bounds"), [("Caps", Caps), ("Bounds", Bounds)])
def test_the_tables_of_caps_are_the_ones_in_the_code(title: str, bounds: Any) -> None:
    page = (DOCS / "reference" / "caps.md").read_text(encoding="utf-8")
    section = page.split(f"\n## `{title}`", 1)[1].split("\n## ", 1)[0]
    shown = {found["name"]: int(found["value"].replace(",", "")) for found in _ROW.finditer(section)}
    assert {field.name: field.default for field in fields(bounds)} == shown


def test_the_other_bounds_on_the_page_of_caps_are_the_ones_in_the_code() -> None:
    page = (DOCS / "reference" / "caps.md").read_text(encoding="utf-8").split("\n## Elsewhere", 1)[1]
    found = {
        "counters": (MAX_KEYS, "200,000 keys"),
        "moving window": (MAX_LOGGED, "100,000, then"),
        "window": (MAX_WINDOW_SECONDS // 86_400, "366 days"),
        "reason": (REASON_CHARACTERS, "| 80 characters"),
        "remembered": (MEMORY, "4,096 each"),
        "own time": (int(DEADLINE_SECONDS), "| 5 seconds"),
    }
    assert [name for name, (value, shown) in found.items() if f"{value:,}" not in shown or shown not in page] == []


def test_the_selectors_page_names_every_codec() -> None:
    page = (DOCS / "reference" / "selectors.md").read_text(encoding="utf-8")
    assert [codec for codec in selectors.CODECS if f"`|{codec}`" not in page] == []


def test_every_promise_has_a_page_and_every_decision_is_on_the_index() -> None:
    promises = sorted(path.stem.partition("-")[0] for path in (DOCS / "promises").glob("g*.md"))
    assert [f"g{number:02}" for number in range(1, 12)] == promises
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = [page for page in DOCS.rglob("*.md") if page != DOCS / "index.md"]
    assert [_named(page) for page in pages if f"({page.relative_to(DOCS).as_posix()})" not in index] == []


def test_output_is_compared_line_by_line() -> None:
    assert list(starmap(_matches, [("a ... c", "a b c"), ("a", "a\nb"), ("a\n...", "a\nb\n")])) == [True, False, True]


def _write_help() -> None:
    text = COMMAND_LINE.read_text(encoding="utf-8")
    COMMAND_LINE.write_text(
        _HELP.sub(lambda found: f"<!-- help: {found['command']} -->\n```text\n{_help(found['command'])}```", text),
        encoding="utf-8",
    )


if __name__ == "__main__":
    _write_help()
