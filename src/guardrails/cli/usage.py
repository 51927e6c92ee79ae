"""A mistake in how a command was called: one line that says what to change, exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer


class UsageError(Exception):
    """What is wrong with an argument, and what to change."""


def is_folder(path: Path) -> bool:
    """
    Whether *path* is a folder.

    Raises:
        UsageError: Nobody can tell: the name is too long, or lies behind a folder that may not be read.
    """
    try:
        return path.is_dir()
    except OSError as error:
        problem = error.strerror or type(error).__name__
    raise UsageError(f"{path}: {problem}")


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
