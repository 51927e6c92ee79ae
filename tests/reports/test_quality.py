"""Scores count what they say, and no report shows what is personal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.reports.quality.examples import Worst, shown
from guardrails.reports.quality.gold import GoldError, Row, rows
from guardrails.reports.quality.page import page
from guardrails.reports.quality.scoring import Score

TEXT = "Hi Ann, call 555-0173 today"
ROW = Row(1, TEXT, ((3, 6, "PERSON"), (13, 21, "PHONE"), (22, 27, "NEUTRAL")))


def test_leak_and_over_mask_are_counted_in_letters_and_digits() -> None:
    score = Score()
    judged = score.add(ROW, [(3, 5, "PERSON"), (8, 21, "PHONE_NUMBER"), (22, 27, "DATE_TIME")])
    assert (judged.gold, judged.leaked, judged.other, judged.over) == (10, 1, 6, 4)
    assert judged.leak == 0.1
    assert (score.entities, score.whole, score.recalled) == (2, 1, {"PERSON": 1, "PHONE": 1})
    assert score.right == {"PERSON": 1, "PHONE_NUMBER": 1, "DATE_TIME": 1}  # neutral counts for nobody
    assert (score.flagged, score.flagged_beside_names) == (1, 1)


def test_a_finding_of_another_type_hides_and_recalls_nothing() -> None:
    score = Score()
    assert score.add(ROW, [(3, 6, "LOCATION"), (13, 21, "PHONE_NUMBER")]).leaked == 0
    assert score.recalled == {"PERSON": 0, "PHONE": 1}
    assert score.right == {"LOCATION": 0, "PHONE_NUMBER": 1}


def test_a_message_without_gold_has_no_leak() -> None:
    assert Score().add(Row(1, "nothing", ()), []).leak == 0.0


TEXTS = st.text("abcXYZ 019-é中", min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), text=TEXTS)
def test_g3_no_example_shows_gold_or_a_finding(data: st.DataObject, text: str) -> None:
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda place: place[0] < place[1])
    gold = data.draw(st.lists(st.tuples(places, st.just("PERSON")), max_size=3))
    found = data.draw(st.lists(st.tuples(places, st.just("LOCATION")), max_size=3))
    row = Row(1, text, tuple((*place, kind) for place, kind in gold))
    parts = shown(row, [(*place, kind) for place, kind in found])
    secret = {at for (start, end), _ in (*gold, *found) for at in range(start, end)}
    visible = "".join(character for at, character in enumerate(text) if at not in secret)
    if not any(part.kind in ("leaked", "over") for part in parts[:1]) and "…" not in parts[0].text:
        assert "".join(part.text for part in parts if not part.kind) in visible
    assert all(set(part.text) <= set("xX9 -…") for part in parts if part.kind)


def test_the_worst_come_first_and_no_more_than_asked_for() -> None:
    worst, score = Worst(2), Score()
    for line, leaked in enumerate((3, 9, 6, 0), start=1):
        row = Row(line, "a" * 10, ((0, leaked, "PERSON"),) if leaked else ())
        worst.add(row, [], score.add(row, []))
    assert [(one.line, one.weight) for one in worst.leaked] == [(2, 9), (3, 6)]
    assert worst.over == []
    assert Worst(0).leaked == []


def test_an_example_begins_shortly_before_what_leaked_and_ends() -> None:
    row = Row(1, "word " * 100 + "Ann" + " word" * 200, ((500, 503, "PERSON"),))
    parts = shown(row, [])
    assert parts[0].text.startswith("… ")
    assert len(parts[0].text) < 70
    assert parts[-1].text.endswith(" …")
    assert sum(len(part.text) for part in parts) < 600


def test_the_page_stands_alone_and_shows_no_value() -> None:
    score, worst = Score(), Worst(5)
    row = Row(7, "Hi <b>Ann</b> & Zebedee", ((6, 9, "PERSON"), (16, 23, "<TYPE>")))
    findings = [(6, 9, "PERSON"), (0, 2, "URL")]
    worst.add(row, findings, score.add(row, findings))
    html = page(score, "Set <1>", [("names", "off")], worst.leaked, worst.over)
    assert "Ann" not in html
    assert "Zebedee" not in html
    assert "&lt;TYPE&gt;" in html
    assert "Set &lt;1&gt;" in html
    assert html.count("<svg") == 3
    assert not [
        word for word in ("<script", "http", "url(", "@import", "src=") if word in html.lower().replace(">url<", "")
    ]


def test_a_page_about_nothing_says_so() -> None:
    score = Score()
    score.add(Row(1, "nothing here", ()), [])
    html = page(score, "empty", [], [], [])
    assert "Nothing was found" in html
    assert "<svg" not in html


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ann@example.com", "line 2 is not"),
        ('{"text": 3, "spans": []}', "line 2 is not"),
        ('{"text": "ann@example.com"}', "line 2 is not"),
        ('{"text": "ann@example.com", "spans": [[0, 99, "EMAIL"]]}', "line 2: every span is"),
        ('{"text": "ann@example.com", "spans": [[3, 3, "EMAIL"]]}', "line 2: every span is"),
        ('{"text": "ann@example.com", "spans": [["0", 3, "EMAIL"]]}', "line 2: every span is"),
    ],
)
def test_g3_a_broken_line_is_named_and_not_shown(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text('{"text": "fine", "spans": []}\n' + line + "\n")
    with pytest.raises(GoldError, match=says) as raised:
        list(rows(path))
    assert "ann@" not in str(raised.value)


def test_rows_have_the_numbers_of_their_lines_and_blank_lines_are_none(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text("\n" + json.dumps({"text": "Ann", "spans": [[0, 3, "PERSON"]], "id": 4}) + "\n")
    assert list(rows(path)) == [Row(2, "Ann", ((0, 3, "PERSON"),))]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GoldError, match="cannot be read"):
        list(rows(tmp_path / "none.jsonl"))
    (tmp_path / "raw").write_bytes(b"\xff\xfe\n")
    with pytest.raises(GoldError, match="is no UTF-8"):
        list(rows(tmp_path / "raw"))
