"""What an ablation found as one HTML page: a bar for each control, tables, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from guardrails.proof.judged import Judged, Overlap

_BAR: Final = 420  # pixels
_STYLE: Final = """
:root { color-scheme: light dark; --only: #0b6e4f; --shared: #c98a1b; --dead: #b3261e; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
p.said { margin: .3rem 0; } .where { font-family: ui-monospace, monospace; font-size: .85rem; opacity: .75; }
.tag { display: inline-block; min-width: 5.5rem; font-weight: 600; }
.needed .tag { color: var(--only); } .redundant .tag { color: var(--shared); }
.dead .tag, .failing .tag { color: var(--dead); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; } svg text { fill: currentColor; font: 13px system-ui, sans-serif; }
"""


def page(found: Sequence[Overlap]) -> str:
    """All of *found* on one page."""
    body = "".join(map(_of_guard, found))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Which controls matter</title><style>{_STYLE}</style></head><body><h1>Which controls matter</h1>"
        "<p>Each control was left out in turn. What only then would have got through, only that control has caught. "
        f"Limits are judged where every message has a time; logs catch nothing.</p>{body}</body></html>\n"
    )


def _of_guard(one: Overlap) -> str:
    said = "".join(_sentence(control, one.messages) for control in one.controls)
    return (
        f"<section><h2>{escape(one.owner or 'nobody')}: {one.messages:,} messages</h2>"
        f"<p class='where'>{escape(one.guard)}</p>{said}{_plot(one)}{_table(one)}{_types(one)}</section>"
    )


def _sentence(control: Judged, messages: int) -> str:
    text = escape(control.sentence(messages)).replace("`", "")
    where = escape(control.where)
    tag = f"<span class='tag'>{control.verdict}</span>"
    return f"<p class='said {control.verdict}'>{tag} {text} <span class='where'>{where}</span></p>"


def _plot(one: Overlap) -> str:
    most = max((control.fired or control.only for control in one.controls), default=0) or 1
    rows, height = [], 34 * len(one.controls) + 30
    for number, control in enumerate(one.controls):
        top = 34 * number + 6
        only = _BAR * min(control.only, most) / most
        shared = _BAR * max(0, control.fired - control.only) / most
        rows.append(
            f"<text x='0' y='{top + 15}'>{escape(control.name)}</text>"
            f"<rect x='210' y='{top}' width='{only:.1f}' height='20' fill='var(--only)'/>"
            f"<rect x='{210 + only:.1f}' y='{top}' width='{shared:.1f}' height='20' fill='var(--shared)'/>"
            f"<text x='{216 + only + shared:.1f}' y='{top + 15}'>{control.fired:,}</text>"
        )
    label = "Messages that each control catches: by itself alone, and together with others"
    return (
        f"<svg viewBox='0 0 {_BAR + 290} {height}' role='img' aria-label='{label}'>{''.join(rows)}"
        f"<rect x='210' y='{height - 18}' width='12' height='12' fill='var(--only)'/>"
        f"<text x='228' y='{height - 7}'>only it</text>"
        f"<rect x='310' y='{height - 18}' width='12' height='12' fill='var(--shared)'/>"
        f"<text x='328' y='{height - 7}'>others catch it too</text></svg>"
    )


def _table(one: Overlap) -> str:
    head = ("control", "layer", "owner", "catches", "only it", "platform too", "failed", "ms")
    rows = [
        (
            control.name,
            control.layer,
            control.owner or "nobody",
            f"{control.fired:,}",
            f"{control.only:,}",
            f"{control.by_platform:,}",
            f"{control.failed:,}",
            f"{control.milliseconds:.3g}",
        )
        for control in one.controls
    ]
    return _html_table(head, rows)


def _types(one: Overlap) -> str:
    rows = [
        (control.name, kind, f"{fired:,}", f"{only:,}")
        for control in one.controls
        for kind, (fired, only) in sorted(control.types.items())
    ]
    return _html_table(("control", "entity type in the message", "catches", "only it"), rows) if rows else ""


def _html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
