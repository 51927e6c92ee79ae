"""
A report as one HTML file that needs nothing else: no script, no font, no network; a content security policy says so too.

Rules. Everything that comes from a log goes through `escape`; the pictures come from data, and hold no markup of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape as _escape
from importlib import resources
from typing import Any, Final

from guardrails.audit.report import BROKEN, HOLDS, Report, printable
from guardrails.reports.charts import NARROW, WIDE, Spec, svg
from guardrails.reports.figures import Answered, Frame

_VERDICTS: Final = {
    "integrity": "Each line is a record, numbered without a gap, and carries the hash of the one before it.",
    "authenticity": "Every checkpoint is signed by a key that the reviewer trusts.",
    "completeness": "Every stream that is named or anchored is here, as long as it was.",
    "liveness": "Checkpoints came when they were promised.",
    "semantics": "One intent a send, one outcome an intent, nothing sent after a refusal.",
}
_SHOWN: Final = 20  # findings of one verdict
_ROWS: Final = 400  # of one table
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(
    *,
    log: str,
    command: str,
    report: Report,
    frame: Frame,
    summary: dict[str, Any],
    figures: Sequence[tuple[Answered, Spec | None]],
    made: datetime,
    version: str,
) -> Iterator[str]:
    """
    The lines of the file.

    Args:
        log: Name of the log, for people.
        command: `guardrails audit query DIR`, to which `--sql` is added.
        report: What verification said.
        frame: The time that it is about.
        summary: The row of `SUMMARY`.
        figures: In order, with their plots.
        made: When (UTC).
        version: Of this library.
    """
    style = resources.files("guardrails.reports").joinpath("data/report.css").read_text("utf-8")
    shown = [(one, plot) for one, plot in figures]
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="referrer" content="no-referrer">'
    yield f"<title>Audit report: {escape(log)}</title>\n<style>\n{style}</style>\n</head>\n<body>"
    yield '<a class="skip" href="#main">To the figures</a>'
    yield "<header>\n<h1>Audit report</h1>"
    yield f'<p class="about">{escape(log)} · {_time(frame.since)} to {_time(frame.until)} UTC</p>'
    yield from _banner(report)
    yield from _tiles(summary)
    yield '<nav aria-label="Figures"><ul>'
    yield '<li><a href="#verdicts">Verdicts</a></li>'
    for one, _ in shown:
        yield f'<li><a href="#{one.figure.name}">{escape(one.figure.title)}</a></li>'
    yield '</ul></nav>\n</header>\n<main id="main">'
    for number, (one, plot) in enumerate(shown):
        yield from _figure(one, plot, command)
        if number == 0:
            yield from _verdicts(report)
    yield "</main>\n<footer>"
    records, streams = sum(one.records for one in report.streams), len(report.streams)
    yield f"<p>Made {_time(made)} UTC by platform-guardrails {escape(version)} from {records:,} records in {streams:,} streams."
    yield "It holds types, counts, times and keyed digests, and no text of a message.</p>"
    yield (
        "<p>What was verified is what lay in the folder then. The log shows changes up to its last anchored checkpoint; "
        "it cannot show sends that no guard saw: hold it against the provider's own log.</p>"
    )
    yield "</footer>\n</body>\n</html>"


def escape(text: object) -> str:
    """Text for HTML, in which nothing acts: no markup, no control character, no reversed direction."""
    return _escape("".join(one if one.isprintable() else printable(one) for one in str(text)), quote=True)


def _banner(report: Report) -> Iterator[str]:
    kind, said, why = {
        HOLDS: ("holds", "All verdicts hold", ""),
        BROKEN: ("broken", "BROKEN: this log was changed, or contradicts itself", "The findings are below."),
    }.get(report.exit_code, ("open", "Intact, but open", "A writer is still at it, or ended without closing."))
    if report.exit_code == HOLDS and not report.anchored:
        kind, said = "open", "All verdicts hold, but nothing is anchored"
        why = "Whoever can write the folder could have written all of it anew. Verify against an anchor to know."
    if report.problem is not None:
        kind, said, why = "broken", "This log cannot be verified", report.problem
    yield f'<div class="banner {kind}" role="status">{escape(said)}{f"<p>{escape(why)}</p>" if why else ""}</div>'


def _tiles(summary: dict[str, Any]) -> Iterator[str]:
    asked = summary["sends"] + summary["refused"]
    share = f" ({summary['refused'] / asked:.1%})" if asked else ""
    yield '<ul class="tiles">'
    p99 = "&ndash;" if summary["p99"] is None else f"{summary['p99']:.2f} ms"
    for value, name in (
        (f"{summary['sent']:,}", "messages sent"),
        (f"{summary['refused']:,}", f"refused{share}"),
        (f"{summary['found']:,}", "personal items found"),
        (f"{summary['unknown']:,}", "unknown outcomes"),
        (f"{summary['degraded']:,}", "degraded decisions"),
        (p99, "guard, p99"),
    ):
        yield f"<li><b>{value}</b><span>{escape(name)}</span></li>"
    yield "</ul>"


def _verdicts(report: Report) -> Iterator[str]:
    yield '<section id="verdicts" aria-labelledby="verdicts-title">\n<h2 id="verdicts-title">Verdicts</h2>'
    yield f'<p class="soft">What <code>guardrails audit verify</code> said about {len(report.streams):,} streams.</p>'
    yield '<dl class="verdicts">'
    for name, text in _VERDICTS.items():
        found = getattr(report, name)
        if found:
            mark, says = (
                '<span class="mark no" aria-hidden="true">✕</span>',
                f"<b>does not hold</b>: {len(found):,} findings",
            )
        elif name == "authenticity" and not report.anchored:
            mark, says = '<span class="mark na" aria-hidden="true">&ndash;</span>', "<b>not asked</b>: no anchor was given"
        else:
            mark, says = '<span class="mark ok" aria-hidden="true">✓</span>', "<b>holds</b>"
        yield f'<div><dt>{mark}{name}</dt><dd>{says} <span class="soft">{escape(text)}</span>'
        if found:
            more = f"<li>… and {len(found) - _SHOWN:,} more</li>" if len(found) > _SHOWN else ""
            yield f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in found[:_SHOWN])}{more}</ul>"
        yield "</dd></div>"
    yield "</dl>\n</section>"


def _figure(one: Answered, plot: Spec | None, command: str) -> Iterator[str]:
    figure = one.figure
    yield f'<figure id="{figure.name}" aria-labelledby="{figure.name}-title">'
    yield f'<figcaption><h2 id="{figure.name}-title">{escape(figure.title)}</h2><p>{escape(figure.text)}</p></figcaption>'
    if not one.rows:
        yield f'<p class="none">{escape(figure.nothing)}</p>'
    if plot is not None and one.rows:
        label = escape(f"{figure.title}; the numbers are in the table below")
        for kind, width in (("wide", WIDE), ("narrow", NARROW)):
            drawn = svg(plot, name=f"{figure.name}-{kind}", label=label, width=width)
            yield f'<div class="plot {kind}">{drawn}</div>'
    if one.rows:
        if figure.plot is None:
            yield from _table(one)
        else:
            yield "<details><summary>Numbers</summary>"
            yield from _table(one)
            yield "</details>"
    yield "<details><summary>Query</summary>"
    yield f"<pre><code>{escape(f'{command} --sql {shlex.quote(one.sql)}')}</code></pre></details>"
    yield "</figure>"


def _table(one: Answered) -> Iterator[str]:
    columns = one.figure.columns
    numbers = {name for name in columns if any(isinstance(row[name], (int, float)) for row in one.rows)}
    heads = "".join(f'<th scope="col"{_n(name in numbers)}>{escape(title)}</th>' for name, title in columns.items())
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(one.figure.title)}: table"><table>'
    yield f"<thead><tr>{heads}</tr></thead><tbody>"
    for row in one.rows[:_ROWS]:
        cells = "".join(f"<td{_n(name in numbers)}>{_value(name, row[name])}</td>" for name in columns)
        yield f"<tr>{cells}</tr>"
    if len(one.rows) > _ROWS:
        yield f'<tr><td colspan="{len(columns)}">… {len(one.rows) - _ROWS:,} more rows: ask the query</td></tr>'
    yield "</tbody></table></div>"


def _n(number: bool) -> str:  # noqa: FBT001 - a class, or none
    return ' class="n"' if number else ""


def _value(name: str, value: object) -> str:
    match value:
        case None:
            return "&ndash;"
        case datetime():
            return f'<span class="t">{_time(value)}</span>'
        case bool() | int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}"
        case _:
            said = escape(value)
            return f"<code>{said}</code>" if name in {"send_id", "operation"} else said


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
