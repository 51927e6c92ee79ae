"""
What a command prints: many lines quickly, quietly when the reader has seen enough, and nothing that a terminal would obey.

Names of files, ids and fields of records are whatever somebody chose. So nothing that is printed reaches a terminal as an escape
sequence, whichever command prints it; colours of ours go past that, to `unescaped()`.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import typer

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})  # where output goes; never from reading


CRASHED: Final = 70  # no command says anything else with it; source: EX_SOFTWARE of sysexits(3)
# Controls but tab and line ends, and what turns the direction of writing around.
_OBEYED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """*text* with nothing in it that a terminal would obey; JSON stays the same JSON."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """A name as a part of a line, which it cannot end."""
    return printable(text).replace("\n", "\\n")


class _Plain(io.TextIOWrapper):
    """A stream to a terminal or a pipe, over the same buffer as another one."""

    def __init__(self, stream: TextIO) -> None:
        # What the encoding does not have is written as its number: a terminal in ASCII is no reason to crash.
        encoding, lines = stream.encoding, getattr(stream, "line_buffering", False)
        super().__init__(stream.buffer, encoding=encoding, errors="backslashreplace", line_buffering=lines)
        self.unescaped = stream

    def write(self, text: str, /) -> int:
        super().write(printable(text))
        return len(text)


def unescaped(stream: TextIO) -> TextIO:
    """Where our own colours go: *stream* as it was given to this process. Whoever writes to it escapes by itself."""
    return getattr(stream, "unescaped", stream)


@contextmanager
def to_somewhere() -> Iterator[None]:
    """
    Give the command an output, whatever became of the one that it was started with.

    A stdout or stderr that is closed takes nothing; one that is full ends the command with one line and exit code 2. A crash of
    ours ends it with one line and exit code 70: a traceback could show what messages hold.
    """
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - it lasts as long as the process
    sys.stderr = sys.stderr or sys.stdout
    for one in (sys.stdout, sys.stderr):
        if isinstance(one, io.TextIOWrapper):
            one.reconfigure(errors="backslashreplace")
    given = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Plain(one) if isinstance(one, io.TextIOWrapper) else one for one in given)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno in FULL:
            problem, code = f"the output cannot be written: {error.strerror}", 2
        else:
            problem, code = _crash(error), CRASHED
    except Exception as error:  # noqa: BLE001 - whatever it is: the last line that is printed is ours
        problem, code = _crash(error), CRASHED
    else:
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered has nowhere to go
    sys.stderr.write(f"guardrails: {problem}\n")
    raise SystemExit(code)


def _crash(error: Exception) -> str:
    """Which error, and where in code; never its text."""
    at = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" at {Path(one.filename).name}:{one.lineno}" for one in at)
    return f"this command crashed ({type(error).__name__}{where}); that is a defect of guardrails: please report this line"


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
