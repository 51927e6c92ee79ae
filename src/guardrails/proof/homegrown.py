"""
Hand-written masking, limiting and send logging in Python code: what a team could stop maintaining.

Signs, not proofs: names of functions, and what they call. Each finding says which sign it was.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from guardrails.proof.source import Function, Module, Project, sorted_modules

MASKING: Final = "masking"
LIMITING: Final = "limiting"
LOGGING: Final = "send logging"
EQUIVALENT: Final[Mapping[str, str]] = {
    MASKING: 'MaskPII(...): names, numbers and addresses, in what is sent and what comes back; operators "partial", "hash", ...',
    LIMITING: "RateLimit(...): exact, per recipient or tenant, in memory or in a store that processes share",
    LOGGING: "AuditLog(...): intent and outcome of every send, without text, chained and verifiable",
}
_GIT_SECONDS: Final = 20

_MASK_NAME: Final = re.compile(
    r"(mask|redact|anonymi[sz]|scrub|pseudonymi|obfuscat|deidentif|strip_pii|hide_)", re.IGNORECASE
)
_MASK_BODY: Final = re.compile(r"\bre\.(sub|compile)\(|\.sub\(|\.replace\(|\*{3}|[xX]{3}|\[REDACTED|<(EMAIL|PHONE)")
_PII_PATTERN: Final = re.compile(
    r"""sub\([^)]*(\\d\{[2-9]|@|\\w\+@|ssn|iban|phone)"""
    r"""|compile\([^)]*(\\w\+?@|[.\]]\+?@|\\d\{3\}.{0,12}\\d\{[24]\})"""
)
_LIMIT_NAME: Final = re.compile(r"(rate_?limit|throttl|token_?bucket|leaky_?bucket|cool_?down|too_many)", re.IGNORECASE)
_LIMIT_BODY: Final = re.compile(r"time\.(time|monotonic)\(|datetime\.(now|utcnow)\(|\.incr\(|\.expire\(|perf_counter\(")
_WINDOW: Final = re.compile(r"time\.(time|monotonic)\(\)")
_WINDOW_TOO: Final = re.compile(r"popleft\(|\blen\([^)]*\)\s*>=?|\[\s*\w+\s*for\s+\w+\s+in[^]]*(<|>)")
_COUNTER: Final = re.compile(r"\.incr\(")
_COUNTER_TOO: Final = re.compile(r"\.(p?expire|expireat)\(")
_SEND_NAME: Final = re.compile(r"(^|_)(send|sends|deliver|notify|dispatch|post_message|reply)(_|$)", re.IGNORECASE)
_LOG_CALL: Final = re.compile(
    r"\b(?:log|logger|logging|_log|print|audit\w*)(?:\.(?:info|debug|warning|error|write|append|log))?\("
    r"[^\n]*\b(?:body|message|msg|text|to|phone|recipient|email|number|content)\b"
)
_WRITES: Final = re.compile(r"json\.dumps?\(|csv\.writer|\.write\(|INSERT INTO", re.IGNORECASE)
_AUDIT_NAME: Final = re.compile(r"(audit|log_send|record_send|message_log|send_log|log_message)", re.IGNORECASE)


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
    for module in sorted_modules(project):
        code = module.path.read_text("utf-8", "replace").splitlines()
        taken: list[tuple[int, int]] = []
        for function in sorted(module.functions.values(), key=lambda one: (one.line, -one.end)):
            if any(first <= function.line <= last for first, last in taken):
                continue
            signs = list(_signs(function, "\n".join(code[function.line - 1 : function.end])))
            if not signs:
                continue
            taken.append((function.line, function.end))
            written, changed = _ages(module, function)
            for kind, sign in signs:
                lines = function.end - function.line + 1
                found.append(Homegrown(module.shown, function.line, lines, function.name, kind, sign, written, changed))
    return found


def _signs(function: Function, body: str) -> Iterator[tuple[str, str]]:
    name = function.name
    bare = name.rpartition(".")[2]
    if "guardrails" in body and ("MaskPII" in body or "RateLimit" in body):
        return
    if _MASK_NAME.search(bare) and _MASK_BODY.search(body):
        yield MASKING, f"called {bare}, and replaces text"
    elif _PII_PATTERN.search(body):
        yield MASKING, "replaces what looks like an address or a number by a pattern"
    if _LIMIT_NAME.search(name) and _LIMIT_BODY.search(body):
        yield LIMITING, f"called {bare}, and looks at a clock or a counter"
    elif _COUNTER.search(body) and _COUNTER_TOO.search(body):
        yield LIMITING, "counts in a store, with an expiry"
    elif _WINDOW.search(body) and _WINDOW_TOO.search(body) and re.search(r"\b(limit|max|window|per_)", body):
        yield LIMITING, "keeps times, and compares how many there are"
    if _SEND_NAME.search(bare) and _LOG_CALL.search(body):
        yield LOGGING, "sends, and logs the message or its recipient"
    elif _AUDIT_NAME.search(bare) and _WRITES.search(body):
        yield LOGGING, f"called {bare}, and writes"


def _ages(module: Module, function: Function) -> tuple[datetime | None, datetime | None]:
    try:
        ran = subprocess.run(  # noqa: S603 - git, with arguments of ours
            ["git", "blame", "--line-porcelain", "-L", f"{function.line},{function.end}", "--", module.path.name],  # noqa: S607
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
    return datetime.fromtimestamp(min(times), UTC), datetime.fromtimestamp(max(times), UTC)


def totals(found: list[Homegrown]) -> dict[str, int]:
    """Kind to lines; a function that does several things counts for each."""
    return {kind: sum(one.lines for one in found if one.kind == kind) for kind in EQUIVALENT}
