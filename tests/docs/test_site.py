"""The site's own rules: the navigation is the index, pictures stand in the page, and figures are those that were kept."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench import record

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "site" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_navigation_holds_every_page_once() -> None:
    config = hooks().on_config(SimpleNamespace(docs_dir=str(DOCS), nav=None))
    (start, *sections) = config.nav
    shown = [page for section in sections for pages in section.values() for entry in pages for page in entry.values()]
    assert start == {"Start": "index.md"}
    assert sorted(shown) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.name != "index.md")


def test_a_picture_becomes_part_of_the_page_and_follows_its_colours() -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_path="index.md"))
    text = hooks().on_page_markdown(
        (DOCS / "index.md").read_text("utf-8"), page=page, config=SimpleNamespace(docs_dir=str(DOCS)), files=None
    )
    assert '<figure class="picture wide"><svg' in text
    assert '<figure class="picture narrow"><svg' in text  # a phone's screen shows this one, and scrolls nothing sideways
    assert len(set(re.findall(r' id="([^"]+)"', text))) == text.count(' id="')
    assert "<style>" not in text
    variables = set(re.findall(r"var\((--[\w-]+)\)", text))
    assert all(f"{name}:" in (DOCS / "assets" / "site.css").read_text("utf-8") for name in variables)


def test_no_page_takes_a_script_from_a_server() -> None:
    foreign = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
    assert hooks().on_post_page(foreign, page=SimpleNamespace(url="a/b.html"), config=None) == (
        '<script src="../assets/file-worker.js"></script>'
    )
    assert "unpkg" not in hooks().on_post_template(foreign, template_name="404.html", config=None)


def test_the_page_of_benchmarks_shows_what_was_kept() -> None:
    assert (DOCS / "explanation" / "benchmarks.md").read_text("utf-8") == record.page()
