"""
Plots as inline SVG: Vega-Lite, rendered here and now by vl-convert, without a browser, a script or a socket.

Colours are variables of the page's style sheet, so that one picture serves dark, light and print. Each plot is drawn
twice, for a wide page and for a phone, with the same size of letters. Every mark says its values to screen readers.

Source: Vega-Lite 5 (BSD 3-Clause), vl-convert (BSD 3-Clause).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from guardrails.errors import ConfigError

Spec: TypeAlias = dict[str, Any]
Row: TypeAlias = Mapping[str, Any]

Span: TypeAlias = tuple[datetime, datetime]

_MONTHS: Final = 12
WIDE, NARROW = 760, 340  # pixels
_FONT: Final = "system-ui, sans-serif"
_KINDS: Final = 8  # colours of the page
_UNITS: Final = {
    "minute": ("utcyearmonthdatehoursminutes", "%H:%M"),
    "hour": ("utcyearmonthdatehours", "%d %b %H:%M"),
    "day": ("utcyearmonthdate", "%d %b"),
    "month": ("utcyearmonth", "%b %Y"),
}
_FIELDS: Final = {"day": "date", "hour": "hours", "minute": "minutes"}  # as Vega-Lite calls them
_ID: Final = re.compile(r'(\bid="|url\(#|href="#)')


def stacked_over_time(rows: Sequence[Row], *, x: str, y: str, by: str, kinds: Sequence[str], unit: str, span: Span) -> Spec:
    """Bars over time, one colour a kind."""
    return {
        "height": 220,
        "data": _data(rows),
        "mark": {"type": "bar", "cornerRadiusEnd": 1},
        "encoding": {
            "x": _time(x, unit, span),
            "y": _amount(y, None),
            "color": _colour(
                by, kinds or sorted({str(row[by]) for row in rows}), named=bool(kinds), there={row[by] for row in rows}
            ),
            "order": {"field": "_order", "type": "quantitative"},
        },
        "transform": [{"calculate": f"indexof({list(kinds)!r}, datum[{by!r}])", "as": "_order"}],
    }


def lines_over_time(rows: Sequence[Row], *, x: str, y: str, by: str, kinds: Sequence[str], unit: str, span: Span) -> Spec:
    """A line a kind over time."""
    return {
        "height": 200,
        "data": _data(rows),
        "mark": {"type": "line", "point": {"size": 18, "filled": True}, "strokeWidth": 2},
        "encoding": {
            "x": _time(x, unit, span),
            "y": _amount(y, None),
            "color": _colour(by, kinds, named=False, there=set(kinds)),
            "strokeDash": {
                "field": by,
                "scale": {"domain": list(kinds), "range": [[1, 0], [6, 3], [2, 2]]},
                "legend": None,
            },
        },
    }


def bars_of(rows: Sequence[Row], *, x: str, y: str, by: str) -> Spec:
    """Bars from left to right, longest first, with their sum behind them."""
    names = list(dict.fromkeys(str(row[y]) for row in rows))[:20]
    shown = [row for row in rows if str(row[y]) in names]
    sums = [{y: name, x: sum(row[x] for row in shown if row[y] == name)} for name in names]
    axis = {"title": None, "ticks": False, "domain": False, "labelPadding": 8}
    place = {"field": y, "type": "nominal", "sort": names, "axis": axis}
    return {
        "height": {"step": 26},
        "layer": [
            {
                "data": _data(shown),
                "mark": {"type": "bar", "height": 16, "cornerRadiusEnd": 1},
                "encoding": {
                    "y": place,
                    "x": _amount(x, None, most=1.2 * max(one[x] for one in sums)),
                    "color": _colour(by, sorted({str(row[by]) for row in shown}), named=False, there=None),
                },
            },
            {
                "data": {"values": sums},
                "mark": {"type": "text", "align": "left", "dx": 5, "color": "var(--ink)", "fontSize": 11},
                "encoding": {
                    "y": place,
                    "x": {"field": x, "type": "quantitative"},
                    "text": {"field": x, "type": "quantitative", "format": ",d"},
                },
            },
        ],
    }


def with_rules(spec: Spec, moments: Sequence[Row], *, x: str, label: str, unit: str) -> Spec:
    """A plot over time with a broken line, and its name, at each of *moments*."""
    if not moments:
        return spec
    own = {name: spec[name] for name in spec if name != "height"}
    time = {"field": x, "type": "temporal", "timeUnit": _UNITS[unit][0]}
    data = _data(moments)
    rule = {"type": "rule", "color": "var(--ink)", "strokeDash": [4, 3], "strokeWidth": 1}
    text = {
        "type": "text",
        "align": "left",
        "baseline": "bottom",
        "dx": -2,
        "dy": -4,
        "fontSize": 10,
        "color": "var(--ink)",
    }
    return {
        "height": spec["height"],
        "layer": [
            own,
            {"data": data, "mark": rule, "encoding": {"x": time}},
            {"data": data, "mark": text, "encoding": {"x": time, "y": {"value": 0}, "text": {"field": label}}},
        ],
    }


def svg(spec: Spec, *, name: str, label: str, width: int) -> str:
    """
    A plot as an `<svg>` element.

    Args:
        spec: From the functions above.
        name: Unlike that of any other plot in the page.
        label: What it shows, for who cannot see it.
        width: In pixels.

    Raises:
        ConfigError: The extra is missing.
    """
    try:
        import vl_convert  # noqa: PLC0415 - an extra, and heavy
    except ImportError:
        raise ConfigError('reports need an extra: pip install "platform-guardrails[desk]"') from None
    narrow = width < WIDE
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "background": None,
        "padding": {"left": 8, "right": 8, "top": 4, "bottom": 4},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "description": label,
        "config": _config(narrow=narrow),
        **spec,
    }
    drawn = vl_convert.vegalite_to_svg(whole, allowed_base_urls=[])
    drawn = _ID.sub(lambda found: f"{found[1]}{name}-", drawn)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).replace(' version="1.1"', "", 1)


def _data(rows: Sequence[Row]) -> dict[str, Any]:
    return {"values": [{name: _plain(value) for name, value in row.items()} for row in rows]}


def _plain(value: object) -> object:
    return f"{value:%Y-%m-%dT%H:%M:%S}Z" if isinstance(value, datetime) else value


def _time(name: str, unit: str, span: Span) -> dict[str, Any]:
    time_unit, form = _UNITS[unit]
    axis = {"title": None, "format": form, "labelOverlap": "greedy", "grid": False, "labelFlush": False}
    since, until = span
    scale = {"type": "utc", "domain": [_moment(since, unit), _moment(until, unit, after=True)]}
    return {"field": name, "type": "temporal", "timeUnit": time_unit, "axis": axis, "scale": scale}


def _moment(moment: datetime, unit: str, *, after: bool = False) -> dict[str, Any]:
    """The beginning of the bar that a moment falls into, or its end, in the words of Vega-Lite."""
    fields = ("year", "month", "day", "hour", "minute")
    kept = fields[: 1 + fields.index(unit if unit in fields else "day")]
    whole: dict[str, Any] = {_FIELDS.get(name, name): getattr(moment, name) for name in kept}
    if after:  # one too many is carried over
        last = _FIELDS.get(unit, unit)
        whole[last] += 1
        if last == "month" and whole[last] > _MONTHS:
            whole |= {"year": whole["year"] + 1, "month": 1}
    return {**whole, "utc": True}


def _amount(name: str, title: str | None, *, most: float | None = None) -> dict[str, Any]:
    says = "datum.value >= 1000 ? format(datum.value, '~s') : format(datum.value, '~g')"
    axis = {"title": title, "tickCount": 5, "labelExpr": says, "domain": False, "ticks": False}
    scale = {} if most is None else {"scale": {"domainMax": most, "nice": False}}
    return {"field": name, "type": "quantitative", "axis": axis, **scale}


def _colour(by: str, kinds: Sequence[str], *, named: bool, there: set[Any] | None) -> dict[str, Any]:
    shown = [kind for kind in kinds if there is None or kind in there]
    colours = [
        f"var(--{kind.replace(' ', '-')})" if named else f"var(--kind-{1 + number % _KINDS})"
        for number, kind in enumerate(shown)
    ]
    legend = {"title": None, "orient": "top", "symbolType": "square", "labelLimit": 220, "offset": 20}
    return {"field": by, "type": "nominal", "scale": {"domain": shown, "range": colours}, "legend": legend}


def _config(*, narrow: bool) -> dict[str, Any]:
    axis = {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "titleFontSize": 11,
        "labelFontSize": 11,
        "gridColor": "var(--grid)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelLimit": 110 if narrow else 240,
    }
    legend = {
        "labelColor": "var(--ink)",
        "labelFontSize": 11,
        "columns": 3 if narrow else 0,
        "symbolSize": 90,
        "padding": 0,
    }
    return {"font": _FONT, "view": {"stroke": None}, "axis": axis, "legend": legend, "aria": True}
