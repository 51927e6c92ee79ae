"""Policies in files of their own, and guards from them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from guardrails.policy.document import parsed
from guardrails.policy.problems import PolicyError
from guardrails.policy.version import Version

Write: TypeAlias = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a policy, and gives its path."""

    def to_file(text: str, name: str = "guardrails.yaml") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return to_file


def version(text: str) -> Version:
    """The policy in *text*."""
    return Version(parsed(textwrap.dedent(text).encode(), "p.yaml"))


def problems(text: str) -> list[str]:
    """What is wrong with *text*, one line a problem."""
    with pytest.raises(PolicyError) as caught:
        version(text)
    return [str(one) for one in caught.value.problems]
