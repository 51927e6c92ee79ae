"""
Hand-written masking, limiting and send logging in Python code: what a team could stop maintaining.

Signs, not proofs: names of functions, and what they call. Each finding says which sign it was.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from guardrails.proof.signs import LIMITING, LOGGING, MASKING, Seen, signs_of
from guardrails.proof.source import Function, Module, Project, sorted_modules

EQUIVALENT: Final[Mapping[str, str]] = {
    MASKING: 'MaskPII(...): names, numbers and addresses, in what is sent and what comes back; operators "partial", "hash", ...',
    LIMITING: "RateLimit(...): exact, per recipient or tenant, in memory or in a store that processes share",
    LOGGING: "AuditLog(...): intent and outcome of every send, without text, chained and verifiable",
}
_GIT_SECONDS: Final = 20
# Nothing is run that the repository itself names: it may be anybody's.
_BLAME: Final = ("git", "-c", "core.fsmonitor=false", "blame", "--no-textconv", "--line-porcelain")


@dataclass(frozen=True, slots=True)
class Homegrown:
    """
    One function that does by hand what the platform does.

    Args:
        file: Relative to what was asked for.
        line: Where it begins.
        lines: How many it has.
        function: Its name.
        kind: "masking", "limiting" or "send logging".
        sign: What gave it away.
        written: When its oldest line was written, as git says; None without git.
        changed: When it was changed last.
    """

    file: str
    line: int
    lines: int
    function: str
    kind: str
    sign: str
    written: datetime | None = None
    changed: datetime | None = None

    @property
    def equivalent(self) -> str:
        """What the platform has for it."""
        return EQUIVALENT[self.kind]


def find_homegrown(project: Project) -> list[Homegrown]:
    """Everything that was found, by file and line; the outermost of nested functions only."""
    found: list[Homegrown] = []
    seen = Seen(project)
    for module in sorted_modules(project):
        code = module.path.read_text("utf-8", "replace").splitlines()
        taken: list[tuple[int, int]] = []
        for function in sorted(module.functions.values(), key=lambda one: (one.line, -one.end)):
            if any(first <= function.line <= last for first, last in taken):
                continue
            signs = list(signs_of(seen, module, function, "\n".join(code[function.line - 1 : function.end])))
            if not signs:
                continue
            taken.append((function.line, function.end))
            written, changed = _ages(module, function)
            for kind, sign in signs:
                lines = function.end - function.line + 1
                found.append(Homegrown(module.shown, function.line, lines, function.name, kind, sign, written, changed))
    return found


def _ages(module: Module, function: Function) -> tuple[datetime | None, datetime | None]:
    try:
        ran = subprocess.run(  # noqa: S603 - git, with arguments of ours
            [*_BLAME, "-L", f"{function.line},{function.end}", "--", module.path.name],
            cwd=module.path.parent,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, None
    times = [int(line.split()[1]) for line in ran.stdout.splitlines() if line.startswith(b"author-time ")]
    if ran.returncode or not times:
        return None, None
    try:
        return datetime.fromtimestamp(min(times), UTC), datetime.fromtimestamp(max(times), UTC)
    except (OverflowError, ValueError, OSError):  # a commit may claim any time
        return None, None


def totals(found: list[Homegrown]) -> dict[str, int]:
    """Kind to lines; a function that does several things counts for each."""
    return {kind: sum(one.lines for one in found if one.kind == kind) for kind in EQUIVALENT}
