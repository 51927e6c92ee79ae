"""A host that is missing, or whose interface is not known, is said at import."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Any

import pytest

from guardrails.adapters.hosts import host
from guardrails.errors import ConfigError

MODULES = [
    ("httpx", "httpx"),
    ("httpx2", "httpx2"),
    ("langchain", "langchain"),
    ("langgraph", "langgraph"),
    ("mcp", "mcp"),
    ("fastmcp", "fastmcp"),
    ("celery", "celery"),
    ("aiosmtplib", "aiosmtplib"),
    ("django", "django"),
    ("twilio", "twilio"),
    ("sinch", "sinch"),
    ("telegram", "python-telegram-bot"),
]


@pytest.mark.parametrize(("module", "distribution"), MODULES, ids=[module for module, _ in MODULES])
def test_an_integration_of_a_host_with_another_interface_says_which_versions_work(
    module: str, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version
    monkeypatch.setattr("guardrails.adapters.hosts.version", lambda name: "0.0.1" if name == distribution else real(name))
    name = f"guardrails.integrations.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigError, match=rf"{distribution} 0\.0\.1 is installed, and this integration works with >="):
        importlib.import_module(name)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"module": "no_such_module"}, r"no_such_module is not installed: pip install 'platform-guardrails\[celery\]'"),
        ({"below": (5, 0)}, "works with >=1.0,<5.0"),
    ],
)
def test_it_says_what_to_install(options: dict[str, Any], match: str) -> None:
    asked: dict[str, Any] = {"module": "celery", "extra": "celery", "distribution": "celery", "least": (1, 0), **options}
    with pytest.raises(ConfigError, match=match):
        host(**asked)
