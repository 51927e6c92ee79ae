"""Many lines on stdout, quickly, and quietly when the reader has seen enough."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import typer

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})  # where output goes; never from reading


@contextmanager
def to_somewhere() -> Iterator[None]:
    """A stdout or stderr that is closed takes nothing; one that is full ends the command with one line and exit code 2."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - it lasts as long as the process
    sys.stderr = sys.stderr or sys.stdout
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        problem = error.strerror
    else:
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
    sys.stderr.write(f"guardrails: the output cannot be written: {problem}\n")
    raise SystemExit(2)


def show(lines: Iterable[str], *, at_once: int = 500) -> None:
    """
    Print *lines*, which come without their ends, so many at once.

    A reader that stops reading (`| head`) ends the command without a word, as it does for other programs.
    """
    coming = iter(lines)
    try:
        while some := list(itertools.islice(coming, at_once)):
            sys.stdout.write("\n".join(some) + "\n")
            if at_once == 1:
                sys.stdout.flush()
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
