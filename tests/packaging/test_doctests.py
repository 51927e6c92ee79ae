"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import guardrails

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(guardrails.__path__, "guardrails.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str) -> None:
    module = importlib.import_module(name)
    if name == "guardrails.integrations.django" and not module.settings.configured:
        module.settings.configure(USE_TZ=True)  # else its settings answer no question, and doctest asks every name one
    assert doctest.testmod(module).failed == 0
