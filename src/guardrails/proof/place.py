"""Places in code, as people can open them: relative to where they work, and nothing for code of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import guardrails

_OURS: Final = str(Path(guardrails.__file__).parent)


def place(where: str) -> str:
    """`file:line` of a `file:line` or `file:line:function`; empty for code of this library, where nobody has to look."""
    file, _, rest = where.partition(":")
    line = rest.partition(":")[0]
    if not line.isdigit() or file.startswith(_OURS):
        return ""
    return f"{relative(file)}:{line}"


def relative(file: str) -> str:
    """Relative to the working directory, where it lies below it."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
