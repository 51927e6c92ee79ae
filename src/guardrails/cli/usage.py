"""A mistake in how a command was called: one line that says what to change, exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


class UsageError(Exception):
    """What is wrong with an argument, and what to change."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a `UsageError` into one line on stderr and exit code 2."""
    try:
        yield
    except UsageError as error:
        problem = str(error)
    else:
        return
    typer.echo(f"guardrails: {problem}", err=True)
    raise typer.Exit(2)
