"""
What gives away masking, limiting and send logging that somebody wrote by hand: names of functions, and what they call.

A pattern is looked for where it is used and where it is made: most are made once, beside the functions that use them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from guardrails.proof.source import Function, Module, Project, cst

MASKING: Final = "masking"
LIMITING: Final = "limiting"
LOGGING: Final = "send logging"

_MASK_NAME: Final = re.compile(
    r"((?<!net)(?<!bit)(?<!u)mask|redact|anonymi[sz]|scrub|pseudonymi|obfuscat|deidentif|strip_pii|hide_)", re.IGNORECASE
)
_MASK_BODY: Final = re.compile(r"\bre\.(sub|compile)\(|\.sub\(|\.replace\(|\*{3}|[xX]{3}|\[REDACTED|<(EMAIL|PHONE)")
_PII_PATTERN: Final = re.compile(
    r"""sub\([^)]*(\\d\{[2-9]|@|\\w\+@|ssn|iban|phone)"""
    r"""|compile\([^)]*(\\w\+?@|[.\]]\+?@|\\d\{3\}.{0,12}\\d\{[24]\})"""
)
# In a pattern that is made outside of functions: an address, or more digits than a year, a day or a time has.
_PII_MADE: Final = re.compile(
    r"""[+*\])}]@[\[(\\\w]|(?:\\d|\[0-9\])\{3\}.{0,12}(?:\\d|\[0-9\])\{[24]\}|(?:\\d|\[0-9\])\{4\}.{0,8}(?:\\d|\[0-9\])\{4\}"""
    r"""|(?:\\d|\[0-9\]|\]\??\))\+?\{(?:[7-9]|1[0-9])(?:,\d*)?\}"""
)
_SUBSTITUTES: Final = re.compile(r"\.subn?\(|\bre\.subn?\(")
_LAST_DIGITS: Final = re.compile(r"(?:\*{2,}|[xX]{3,})[^\n]*\[-[2-4]:\]")
_HASHED: Final = re.compile(
    r"hashlib\.\w+\([^\n]*\b(?:\w+_)?(?:phone|phone_number|msisdn|e?mail|recipient|ssn|iban|card_number)\b", re.IGNORECASE
)
_LIMIT_NAME: Final = re.compile(r"(rate_?limit|throttl|token_?bucket|leaky_?bucket|cool_?down|too_many)", re.IGNORECASE)
_LIMIT_BODY: Final = re.compile(r"time\.(time|monotonic)\(|datetime\.(now|utcnow)\(|\.incr\(|\.expire\(|perf_counter\(")
_WINDOW: Final = re.compile(r"time\.(time|monotonic)\(\)")
_WINDOW_TOO: Final = re.compile(r"popleft\(|\blen\([^)]*\)\s*>=?|\[\s*\w+\s*for\s+\w+\s+in[^]]*(<|>)")
_AMOUNT: Final = re.compile(r"\b(limit|max|window|per_)|\blen\([^)]*\)\s*(>=?|<)\s*(?:[2-9]|\d\d)")
_COUNTER: Final = re.compile(r"\.incr\(")
_COUNTER_TOO: Final = re.compile(r"\.(p?expire|expireat)\(")
_ROWS: Final = re.compile(r"count\(\s*(?:\*|\w*)\s*\)", re.IGNORECASE)
_ROWS_TOO: Final = re.compile(r"timedelta\(|\binterval\b", re.IGNORECASE)
_ROWS_OF: Final = re.compile(r"\bsent\b|sent_at|messages?\b|\bsms\b", re.IGNORECASE)
_COMPARED: Final = re.compile(r"[<>]=?\s*(?:\w*(?:limit|max)\w*|\d+)\b", re.IGNORECASE)
_LIMIT_LIBRARIES: Final = frozenset(
    {"aiolimiter", "asyncio_throttle", "limits", "pyrate_limiter", "ratelimit", "token_bucket"}
)
_SEND_NAME: Final = re.compile(r"(^|_)(send|sends|deliver|notify|dispatch|post_message|reply)(_|$)", re.IGNORECASE)
_LOG_CALL: Final = re.compile(
    r"\b(?:log|logger|logging|_log|print|audit\w*)(?:\.(?:info|debug|warning|error|write|append|log))?\("
    r"[^\n]*\b(?:body|message|msg|text|to|phone|recipient|email|number|content)\b"
)
_WRITES: Final = re.compile(r"json\.dumps?\(|csv\.writer|\.write\(|INSERT INTO", re.IGNORECASE)
_KEEPS: Final = re.compile(r"INSERT\s+INTO|csv\.writer\(|open\([^)\n]*[\"']ab?[\"']", re.IGNORECASE)
_AUDIT_NAME: Final = re.compile(r"(audit|log_send|record_send|message_log|send_log|log_message)", re.IGNORECASE)


class Seen:
    """
    What is made outside of functions, in all modules of a project.

    Args:
        project: What was read.
    """

    def __init__(self, project: Project) -> None:
        self._patterns = {module.name: _patterns(module) for module in project.modules.values()}

    def patterns(self, module: Module) -> set[str]:
        """Names under which *module* has patterns of personal data, its own and those that it imports."""
        found = set(self._patterns[module.name])
        for name, qualified in module.imports.items():
            home, _, theirs = qualified.rpartition(".")
            if theirs in self._patterns.get(home, ()):
                found.add(name)
        return found


def _patterns(module: Module) -> set[str]:
    """Names that *module*, or a class in it, assigns patterns of personal data to."""
    found: set[str] = set()
    bodies = [module.tree.body, *(one.body.body for one in module.tree.body if isinstance(one, cst.ClassDef))]
    for line in (line for body in bodies for line in body if isinstance(line, cst.SimpleStatementLine)):
        for statement in line.body:
            if isinstance(statement, cst.Assign):
                targets = [one.target for one in statement.targets]
            elif isinstance(statement, cst.AnnAssign) and statement.value is not None:
                targets = [statement.target]
            else:
                continue
            names = {one.value for one in targets if isinstance(one, cst.Name)}
            if names and _PII_MADE.search(module.tree.code_for_node(statement)):
                found |= names
    return found


def signs_of(seen: Seen, module: Module, function: Function, body: str) -> Iterator[tuple[str, str]]:
    """
    Kind and sign of what *function* does by hand.

    Args:
        seen: What is made outside of functions.
        module: Where the function is.
        function: The function.
        body: Its source.
    """
    if "guardrails" in body and ("MaskPII" in body or "RateLimit" in body):
        return
    for kind, sign in (
        (MASKING, _masks(seen, module, function, body)),
        (LIMITING, _limits(module, function, body)),
        (LOGGING, _logs(function, body)),
    ):
        if sign:
            yield kind, sign


def _masks(seen: Seen, module: Module, function: Function, body: str) -> str:
    bare = function.name.rpartition(".")[2]
    if _MASK_NAME.search(bare) and _MASK_BODY.search(body):
        return f"called {bare}, and replaces text"
    if _PII_PATTERN.search(body) or (_SUBSTITUTES.search(body) and _mentions(body, seen.patterns(module))):
        return "replaces what looks like an address or a number by a pattern"
    if _LAST_DIGITS.search(body):
        return "shows the last digits, and crosses out the others"
    if _HASHED.search(body):
        return "hashes an address or a number"
    if ".anonymize(" in body and any(one.startswith("presidio_anonymizer") for one in module.imports.values()):
        return "calls Presidio by itself"
    return ""


def _limits(module: Module, function: Function, body: str) -> str:
    bare = function.name.rpartition(".")[2]
    if _LIMIT_NAME.search(function.name) and _LIMIT_BODY.search(body):
        return f"called {bare}, and looks at a clock or a counter"
    if _COUNTER.search(body) and _COUNTER_TOO.search(body):
        return "counts in a store, with an expiry"
    if _WINDOW.search(body) and _WINDOW_TOO.search(body) and _AMOUNT.search(body):
        return "keeps times, and compares how many there are"
    if all(sign.search(body) for sign in (_ROWS, _ROWS_TOO, _ROWS_OF, _COMPARED)):
        return "counts what was sent in a time, and compares"
    libraries = {name: home.partition(".")[0] for name, home in module.imports.items()}
    own = {name for name, library in libraries.items() if library in _LIMIT_LIBRARIES}
    used = _mentions("\n".join(map(_code(module), function.decorators)), own)
    return f"limits itself with the library {libraries[used]}" if used else ""


def _logs(function: Function, body: str) -> str:
    bare = function.name.rpartition(".")[2]
    if _SEND_NAME.search(bare) and _LOG_CALL.search(body):
        return "sends, and logs the message or its recipient"
    if _SEND_NAME.search(bare) and _KEEPS.search(body):
        return "sends, and writes down that it did"
    if _AUDIT_NAME.search(bare) and _WRITES.search(body):
        return f"called {bare}, and writes"
    return ""


def _code(module: Module) -> Any:
    return module.tree.code_for_node


def _mentions(code: str, names: set[str]) -> str:
    """The first of *names* in *code*; empty without."""
    words = set(re.findall(r"\w+", code)) if names else set()
    return min(words & names, default="")
