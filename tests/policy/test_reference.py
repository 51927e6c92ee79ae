"""The reference page is made of the models: `python tests/policy/test_reference.py` writes it, and the schema, anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from guardrails.policy.reference import reference
from guardrails.policy.schema import schema_text

DOCS: Final = Path(__file__).parent.parent.parent / "docs" / "reference"
_SETTINGS: Final = re.compile(r"(<!-- settings -->\n)(.*)(<!-- end of settings -->)", re.DOTALL)


def test_the_reference_page_shows_every_setting_as_the_models_have_it() -> None:
    found = _SETTINGS.search((DOCS / "policy.md").read_text(encoding="utf-8"))
    assert found is not None
    assert found[2] == reference()


def test_the_schema_that_is_kept_is_the_models() -> None:
    assert (DOCS / "policy.schema.json").read_text(encoding="utf-8") == schema_text()


def _write() -> None:
    page = DOCS / "policy.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(_SETTINGS.sub(lambda found: f"{found[1]}{reference()}{found[3]}", text), encoding="utf-8")
    (DOCS / "policy.schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    _write()
