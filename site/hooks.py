"""
What mkdocs does beside rendering: the navigation is read from docs/index.md, and pictures go into the page itself.

The index names every page (a test holds it to that), so the site's navigation cannot forget one. A picture that is part of
the page follows its colours, in the dark too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_SECTION = re.compile(r"^## (?P<title>.+)$")
_PAGE = re.compile(r"\[(?P<title>[^\]]+)\]\((?P<path>[\w/-]+\.md)\)")
_PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[\w./-]+\.svg)\)")
_FOREIGN = re.compile(r'<script src="?https://unpkg.com/iframe-worker/shim"?></script>')
_TABS = {"Tutorial": "Tutorials", "How-to guides": "How-to", "Promises": "Promises", "Decisions": "Decisions"}


def on_config(config: Any) -> Any:
    """Read the navigation from the index: one tab a section, its pages in order."""
    nav: list[Any] = [{"Start": "index.md"}]
    pages: list[Any] = []
    named: set[str] = set()
    for line in (Path(config.docs_dir) / "index.md").read_text("utf-8").splitlines():
        section = _SECTION.match(line)
        if section is not None:
            pages = []
            nav.append({_TABS.get(section["title"], section["title"]): pages})
        elif len(nav) > 1:
            number = re.match(r"\| (G\d+) \|", line)
            for page in _PAGE.finditer(line):
                if page["path"] in named:
                    continue
                named.add(page["path"])
                title = page["title"].replace("`", "")
                pages.append({f"{number[1]} {title}" if number else title[:1].upper() + title[1:]: page["path"]})
    config.nav = [one for one in nav if next(iter(one.values()))]
    return config


def on_post_page(output: str, *, page: Any, config: Any) -> str:
    """Take our own script for search in a folder, where the theme would load another one from a server."""
    del config
    up = "../" * page.url.count("/")
    return _FOREIGN.sub(f'<script src="{up}assets/file-worker.js"></script>', output)


def on_post_template(output_content: str, *, template_name: str, config: Any) -> str:
    """The same for pages that are made of no document."""
    del template_name, config
    return _FOREIGN.sub('<script src="/assets/file-worker.js"></script>', output_content)


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Put pictures into the page."""
    del files
    folder = Path(config.docs_dir) / Path(page.file.src_path).parent

    def figure(path: Path, kinds: str) -> str:
        svg = re.sub(r"<\?xml[^>]*\?>|<style>.*?</style>", "", path.read_text("utf-8"), flags=re.DOTALL)
        lines = " ".join(line.strip() for line in svg.splitlines())
        return f'<figure class="{kinds}">{lines}</figure>'

    def inline(found: re.Match[str]) -> str:
        """A picture; where there is one for narrow screens beside it, both, of which a screen shows one."""
        wide = folder / found["path"]
        narrow = wide.with_stem(f"{wide.stem}-narrow")
        if not narrow.exists():
            return figure(wide, "picture")
        return figure(wide, "picture wide") + figure(narrow, "picture narrow")

    return _PICTURE.sub(inline, markdown)
