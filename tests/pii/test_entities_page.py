"""
The page of entities lists what there is; `python -m tests.pii.test_entities_page` writes its tables anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from presidio_analyzer import PatternRecognizer

from guardrails.pii.recognizers import build
from guardrails.pii.registry import DEFAULT_ENTITIES, pattern_entities

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "entities.md"
TABLE: Final = re.compile(r"(?<=<!-- table: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table(which: str) -> str:
    lines = ["| entity | country | language | recognizer | scores |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *rows(is_default=which == "default")]) + "\n"


def rows(*, is_default: bool) -> Iterator[str]:
    for entity, kind in sorted(pattern_entities().items()):
        if (entity in DEFAULT_ENTITIES) != is_default:
            continue
        recognizer = build(kind, "en")
        scores = sorted({one.score for one in getattr(recognizer, "patterns", ())}, reverse=True) or [0.4]
        has_check = (
            isinstance(recognizer, PatternRecognizer)
            and type(recognizer).validate_result is not PatternRecognizer.validate_result
        )
        written = ", ".join(f"{score:g}" for score in scores) + ("; 1 if its check digits fit" if has_check else "")
        language = inspect.signature(kind).parameters["supported_language"].default
        name = f"`{kind.__name__}`" + (" (ours)" if kind.__module__.startswith("guardrails") else "")
        yield f"| `{entity}` | {kind.COUNTRY_CODE or ''} | {language} | {name} | {written} |"


def test_every_entity_is_on_the_page_with_its_recognizer_and_scores() -> None:
    shown = {found[1]: found[0] for found in TABLE.finditer(PAGE.read_text(encoding="utf-8"))}
    assert shown == {which: f"{which} -->\n{table(which)}" for which in ("default", "others")}


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda found: f"{found[1]}{found[2]}{table(found[1])}", PAGE.read_text("utf-8")), "utf-8")
