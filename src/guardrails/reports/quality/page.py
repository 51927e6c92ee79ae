"""The report as one HTML page: no script, nothing from elsewhere, plots as inline SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from guardrails.reports.quality.examples import Example, Part
from guardrails.reports.quality.scoring import Score, share

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d5dae0; --bad: #c0392b; --good: #2471a3;
  --warn: #b9770e; --paper: #fff; --tint: #f4f6f8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b1; --line: #3a424b; --bad: #ec7063; --good: #5dade2;
  --warn: #f0b27a; --paper: #14181c; --tint: #1d2329 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; padding: 0; list-style: none }
.figures li { background: var(--tint); border-radius: .5rem; padding: .6rem 1rem; min-width: 7.5rem }
.figures b { display: block; font-size: 1.45rem; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left }
.soft, figcaption { color: var(--soft) }
figure { margin: 1rem 0; overflow-x: auto } svg text { fill: var(--ink); font: 12px system-ui, sans-serif }
.example { background: var(--tint); border-radius: .4rem; padding: .5rem .8rem; margin: .5rem 0; white-space: pre-wrap;
  overflow-wrap: anywhere }
mark { background: none; color: inherit; border-bottom: 2px solid } mark.leaked { color: var(--bad); font-weight: 600 }
mark.found { color: var(--good) } mark.over { color: var(--warn) }
"""
_WIDTH: Final = 640  # of a plot, in its own units
_LABEL: Final = 190
_BAR: Final = 24


def page(
    score: Score, title: str, facts: Iterable[tuple[str, str]], leaked: Sequence[Example], over: Sequence[Example]
) -> str:
    """
    The page.

    Args:
        score: What was counted.
        title: What was judged.
        facts: Names and values that say how.
        leaked: The messages that leaked most.
        over: The messages of which most was masked in vain.
    """
    figures = (
        ("leak", share(score.leaked, score.gold)),
        ("over-mask", share(score.over, score.other)),
        ("wholly masked", share(score.whole, score.entities)),
        ("flagged", share(score.flagged, score.rows)),
        ("flagged, not names", share(score.flagged_beside_names, score.rows)),
    )
    return "".join(
        (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
            f'<ul class="figures">{"".join(f"<li><b>{_percent(value)}</b>{escape(name)}</li>" for name, value in figures)}</ul>',
            (
                '<p class="soft">leak: share of the letters and digits of personal data that stay visible. over-mask: share of '
                "all other letters and digits that are masked.</p>"
            ),
            '<p class="soft">' + "; ".join(f"{escape(name)}: {escape(value)}" for name, value in facts) + "</p>",
            _of_gold(score),
            _of_found(score),
            _examples("What leaked most", leaked),
            _examples("What was masked in vain", over),
            "</body></html>\n",
        )
    )


def _of_gold(score: Score) -> str:
    kinds = [kind for kind, _ in score.of_gold.most_common()]
    if not kinds:
        return ""
    leaks = [(kind, share(score.leaked_of[kind], score.characters_of[kind]) or 0.0) for kind in kinds]
    recalls = [(kind, share(score.recalled[kind], score.of_gold[kind]) or 0.0) for kind in kinds]
    body = "".join(
        f"<tr><td>{escape(kind)}</td><td>{score.of_gold[kind]:,}</td>"
        f"<td>{_percent(share(score.recalled[kind], score.of_gold[kind]))}</td>"
        f"<td>{_percent(share(score.whole_of[kind], score.of_gold[kind]))}</td>"
        f"<td>{_percent(share(score.leaked_of[kind], score.characters_of[kind]))}</td></tr>"
        for kind in kinds
    )
    return (
        "<h2>Personal data in the texts</h2>"
        + _plot(leaks, "leak by type", "var(--bad)")
        + _plot(recalls, "recall by type", "var(--good)")
        + "<table><tr><th>type</th><th>count</th><th>recall</th><th>wholly masked</th><th>leak</th></tr>"
        + body
        + "</table>"
    )


def _of_found(score: Score) -> str:
    if not score.found:
        return "<h2>Findings</h2><p>Nothing was found.</p>"
    right = [(entity, share(score.right[entity], count) or 0.0) for entity, count in score.found.most_common()]
    body = "".join(
        f"<tr><td>{escape(entity)}</td><td>{count:,}</td><td>{_percent(share(score.right[entity], count))}</td></tr>"
        for entity, count in score.found.most_common()
    )
    return (
        "<h2>Findings</h2>"
        + _plot(right, "precision by entity", "var(--warn)")
        + f"<table><tr><th>entity</th><th>findings</th><th>precision</th></tr>{body}</table>"
    )


def _plot(bars: Sequence[tuple[str, float]], title: str, colour: str) -> str:
    """Horizontal bars of shares, with their values."""
    height = _BAR * len(bars) + 8
    room = _WIDTH - _LABEL - 70
    drawn: list[str] = []
    for place, (name, value) in enumerate(bars):
        top = place * _BAR + 4
        drawn.append(
            f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{top + 3}" width="{room}" height="{_BAR - 8}" fill="var(--line)" opacity=".45"/>'
            f'<rect x="{_LABEL}" y="{top + 3}" width="{max(value * room, 1 if value else 0):.1f}" height="{_BAR - 8}" '
            f'fill="{colour}"/>'
            f'<text x="{_LABEL + room + 8}" y="{top + 15}">{_percent(value)}</text>'
        )
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">{"".join(drawn)}</svg></figure>'
    )


def _examples(title: str, examples: Sequence[Example]) -> str:
    if not examples:
        return f"<h2>{escape(title)}</h2><p>Nothing.</p>"
    shown = "".join(
        f'<div class="example"><span class="soft">line {one.line}, {one.weight} letters and digits:</span>\n'
        f"{''.join(map(_part, one.parts))}</div>"
        for one in examples
    )
    return (
        f'<h2>{escape(title)}</h2><p class="soft">Personal data and findings are shown as shapes only: '
        '<mark class="leaked">leaked</mark>, <mark class="found">found</mark>, <mark class="over">masked in vain</mark>.</p>'
        + shown
    )


def _part(part: Part) -> str:
    if not part.kind:
        return escape(part.text)
    return f'<mark class="{part.kind}" title="{escape(part.entity)}">{escape(part.text)}</mark>'


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.2f} %"
