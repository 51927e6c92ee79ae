"""The front door: what it offers, that the three places that say so agree, and what opening it costs."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import guardrails

SOURCE = Path(guardrails.__file__).read_text(encoding="utf-8")

# DESIGN 6.2: what users import; a name that leaves breaks them.
PROMISED = {
    "Allow", "AuditLog", "Blocked", "Call", "ConfigError", "Control", "ControlError", "Conversation", "Defer", "Deferred",
    "Denied", "Deny", "Guard", "GuardrailsError", "Limit", "MaskPII", "Message", "RateLimit", "RateLimited", "Recipient",
    "Rewrite", "Stream", "Tenant", "Text", "Unavailable", "check", "context", "from_policy", "monitor",
}  # fmt: skip


def imported_for_type_checkers() -> dict[str, str]:
    """Name to module, as the TYPE_CHECKING block says."""
    found: dict[str, str] = {}
    for block in ast.parse(SOURCE).body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for statement in block.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                found |= {alias.asname or alias.name: statement.module for alias in statement.names}
    return found


def test_all_the_lazy_table_and_the_type_checkers_block_agree() -> None:
    assert set(guardrails._HOME) | {"__version__"} == set(guardrails.__all__)
    assert imported_for_type_checkers() == guardrails._HOME


def test_all_is_sorted_and_says_each_name_once() -> None:
    assert sorted(set(guardrails.__all__)) == guardrails.__all__


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_promised_name_is_offered(name: Any) -> None:
    assert name in guardrails.__all__
    assert getattr(guardrails, name) is not None


@pytest.mark.parametrize("name", guardrails.__all__)
def test_each_name_of_all_is_there_and_is_the_one_of_its_module(name: Any) -> None:
    value = getattr(guardrails, name)
    assert value is getattr(guardrails, name)
    if name in guardrails._HOME:
        assert value is getattr(importlib.import_module(guardrails._HOME[name]), name)


def test_dir_shows_every_name_and_no_name_that_is_missing() -> None:
    shown = dir(guardrails)
    assert set(guardrails.__all__) <= set(shown)
    assert all(hasattr(guardrails, name) for name in shown)


def test_a_name_that_is_not_offered_is_an_attribute_error_that_says_so() -> None:
    with pytest.raises(AttributeError, match="'guardrails' has no attribute 'Gaurd'"):
        guardrails.Gaurd  # noqa: B018 - a typing error
    with pytest.raises(ImportError):
        exec("from guardrails import Gaurd", {})  # noqa: S102 - our own source


def test_a_star_import_gives_all_of_it() -> None:
    space: dict[str, object] = {}
    exec("from guardrails import *", space)  # noqa: S102 - our own source
    assert set(guardrails.__all__) <= set(space)


def test_no_module_shares_a_public_name() -> None:
    # Importing guardrails.check would put the module where the function was.
    modules = {module.name for module in pkgutil.iter_modules(guardrails.__path__)}
    assert not modules & set(guardrails.__all__)


def test_the_package_is_typed() -> None:
    assert (Path(guardrails.__file__).parent / "py.typed").exists()


# -- what it loads -----------------------------------------------------------------------------------------------------

HEAVY = (
    "asyncio", "cryptography", "limits", "onnxruntime", "phonenumbers", "presidio_analyzer", "presidio_anonymizer",
    "pydantic", "rich", "spacy", "structlog", "tldextract", "trio", "typer", "yaml",
)  # fmt: skip


def loaded_by(source: str, *options: str) -> set[str]:
    """Modules that a fresh interpreter has after *source*, beside those that it starts with."""
    program = f"import sys; before = set(sys.modules); {source}; print(*sorted(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return set(ran.stdout.split())


def test_importing_the_package_loads_nothing_but_itself_and_a_little_of_the_standard_library() -> None:
    loaded = loaded_by("import guardrails")
    assert {name for name in loaded if name.startswith("guardrails")} == {"guardrails"}
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_errors_cost_nothing_more() -> None:
    loaded = loaded_by("from guardrails import Denied, GuardrailsError")
    assert {name for name in loaded if name.startswith("guardrails")} == {"guardrails", "guardrails.errors"}
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_a_guard_of_own_controls_needs_the_standard_library_alone() -> None:
    source = "from guardrails import Guard, check; Guard(check(lambda message: None)).wrap(lambda body: body)('x')"
    loaded = {name.partition(".")[0] for name in loaded_by(source)}
    assert not loaded & (set(HEAVY) - {"asyncio"})
    assert all(name in sys.stdlib_module_names or name in ("guardrails", "__mp_main__") for name in loaded)


def test_naming_the_built_in_controls_does_not_load_what_they_are_built_on() -> None:
    loaded = {name.partition(".")[0] for name in loaded_by("from guardrails import AuditLog, Limit, MaskPII, RateLimit")}
    assert not loaded & {
        "presidio_analyzer",
        "presidio_anonymizer",
        "spacy",
        "onnxruntime",
        "limits",
        "structlog",
        "pydantic",
    }


def test_in_development_mode_with_warnings_as_errors_importing_everything_is_silent() -> None:
    loaded_by("import guardrails; [getattr(guardrails, name) for name in guardrails.__all__]", "-X", "dev")
    loaded_by("import guardrails.core.guard, guardrails.errors", "-X", "dev", "-W", "error")


@pytest.mark.parametrize(
    "name", ["binding", "checks", "context", "door", "flow", "guard", "journey", "onion", "preview", "stack"]
)
def test_each_module_of_core_can_be_imported_first(name: Any) -> None:
    assert f"guardrails.core.{name}" in loaded_by(f"import guardrails.core.{name}")
