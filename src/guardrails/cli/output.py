"""Many lines on stdout, quickly, and quietly when the reader has seen enough."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable

import typer


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
