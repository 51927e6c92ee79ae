"""
Send sites in Python code: guarded, unguarded, or unknown.

A site is *guarded* when it stands in a function that a guard decorates or wraps, when its object was made by an adapter of ours
or given one, or when the function it stands in is mentioned by guarded functions alone. It is *unguarded* when what it is called
on is known and no guard is in sight, and *unknown* when only its name is telling, or a decorator cannot be followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from guardrails.proof.known import LIBRARIES, TAILS, Library
from guardrails.proof.scope import GUARD, GUARDED, Scoped
from guardrails.proof.source import Function, Module, Project, cst, dotted, sorted_modules

GUARDED_SITE: Final = "guarded"
UNGUARDED: Final = "unguarded"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Site:
    """
    One call that sends.

    Args:
        file: Relative to what was asked for.
        line: Where the call begins.
        column: From 1.
        function: The function that it stands in; empty at module level.
        send: What is called, such as `twilio: messages.create`.
        channel: What it sends.
        state: "guarded", "unguarded" or "unknown".
        why: What decided.
        remedy: How to guard it; empty where it is guarded.
    """

    file: str
    line: int
    column: int
    function: str
    send: str
    channel: str
    state: str
    why: str
    remedy: str = ""

    @property
    def fingerprint(self) -> str:
        """The same as long as the file, the function and the send are: lines may move."""
        return f"{self.file}:{self.function}:{self.send}"


def find_sites(project: Project, own: Sequence[str] = ()) -> list[Site]:
    """
    Every send site.

    Args:
        project: What was read.
        own: Qualified names of sends of the user's own: `acme.gateway.send_sms`, `acme.gateway.Gateway.send`.
    """
    functions, methods = _tables(own)
    found: list[Site] = []
    for module in sorted_modules(project):
        visitor = _Sites(module, project, functions, methods)
        module.tree.visit(visitor)
        found += visitor.found
    return sorted(found, key=lambda site: (site.file, site.line, site.column))


def mentions(own: Sequence[str] = ()) -> Callable[[bytes], bool]:
    """Whether a file's text names a library, a method that sends, a guard, or a send of the user's own."""
    words = {library.name.partition(".")[0] for library in LIBRARIES} | {"guard"}
    words |= {tail.rpartition(".")[2] for library in LIBRARIES for tail in (*library.methods, *library.functions)} - _COMMON
    words |= {tail for library in LIBRARIES for tail in library.methods if "." in tail}
    words |= {name.rpartition(".")[2] for name in own}
    found = re.compile("|".join(map(re.escape, sorted(words))).encode(), re.IGNORECASE)
    return lambda source: found.search(source) is not None


# Call what they are given, at once or later.
_RUNNERS: Final = frozenset({
    "Process", "Thread", "Timer", "apply_async", "call_later", "call_soon", "call_soon_threadsafe", "delay", "enqueue", "map",
    "partial", "partialmethod", "run_in_executor", "run_in_threadpool", "run_sync", "starmap", "submit", "sync_to_async",
    "to_thread",
})  # fmt: skip
# Too common to say anything by themselves; with what stands before them they do.
_COMMON: Final = frozenset({"create", "send", "complete", "stream", "parse", "post", "completion", "publish"})


def _tables(own: Sequence[str]) -> tuple[dict[str, Library], dict[tuple[str, str], Library]]:
    functions: dict[str, Library] = {}
    methods: dict[tuple[str, str], Library] = {}
    for library in LIBRARIES:
        functions |= dict.fromkeys(library.functions, library)
        methods |= {(kind, method): library for kind in library.types for method in library.methods}
    for name in own:
        library = Library(name.rpartition(".")[0], "own", functions=(name,))
        functions[name] = library
        kind, _, method = name.rpartition(".")
        methods[kind, method] = library
    return functions, methods


class _Sites(Scoped):
    def __init__(
        self,
        module: Module,
        project: Project,
        functions: Mapping[str, Library],
        methods: Mapping[tuple[str, str], Library],
    ) -> None:
        super().__init__(module, project)
        self._known_functions = functions
        self._known_methods = methods
        self.found: list[Site] = []

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802 - libcst names the method
        known = self._sent_by(node.func)
        if known is not None:
            self._add(node, known, *self._state(node.func, known[2], known[0]))
        elif not self._is_of_guard(node.func):
            name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
            runs = isinstance(name, cst.Name) and name.value in _RUNNERS
            for argument in node.args:
                self._handed(argument.value, runs=runs)

    def visit_Assign(self, node: cst.Assign) -> None:  # noqa: N802
        self._handed(node.value, runs=False)

    def _handed(self, value: Any, *, runs: bool) -> None:
        """A send that is not called here, but given to something else: a thread, a partial, another name."""
        if not isinstance(value, cst.Attribute | cst.Name):
            return
        known = self._sent_by(value)
        if known is None or (known[2] is None and self.module.qualified(value) not in self._known_functions):
            return
        state, why = self._state(value, known[2], known[0])
        if state == UNGUARDED and not runs:
            state, why = UNKNOWN, "it is handed on, and nobody can tell who calls it"
        self._add(value, known, state, why)

    def _is_of_guard(self, func: Any) -> bool:
        """Whether what is called is a guard, or makes one stand around its arguments."""
        while isinstance(func, cst.Call):
            func = func.func
        if isinstance(func, cst.Attribute) and func.attr.value == "wrap":
            func = func.value
        return self.type_of(func) == GUARD

    def _add(self, node: Any, known: tuple[Library, str, str | None], state: str, why: str) -> None:
        library, send, _ = known
        start = self.module.positions[node].start
        self.found.append(
            Site(
                self.module.shown,
                start.line,
                start.column + 1,
                self.functions[-1] if self.functions else "",
                f"{library.name}: {send}",
                library.channel,
                state,
                why,
                "" if state == GUARDED_SITE else library.remedy,
            )
        )

    def _sent_by(self, func: Any) -> tuple[Library, str, str | None] | None:
        """The library, what is called, and what it is called on; None when this is no send that we know."""
        name = self.module.qualified(func)
        if name is not None and name in self._known_functions:
            return self._known_functions[name], name.rpartition(".")[2], None
        steps: list[str] = []
        base = func
        while isinstance(base, cst.Attribute):
            steps.insert(0, base.attr.value)
            base = base.value
            made = self.type_of(base)
            chain = ".".join(steps)
            if made == GUARDED and chain in TAILS:
                return TAILS[chain][0], chain, made
            library = self._known_methods.get((made or "", chain))
            if library is not None:
                return library, chain, made
        return self._telling(steps, func)

    def _telling(self, steps: Sequence[str], func: Any) -> tuple[Library, str, str | None] | None:
        """A name that says it all, on an object that nobody can tell, in a module that uses its library."""
        spelled = ".".join(dotted(func) or ())
        if spelled in self._known_functions and "." in spelled:  # such as a library that is imported late, by a proxy
            return self._known_functions[spelled], spelled.rpartition(".")[2], None
        for cut in range(len(steps)):
            chain = ".".join(steps[cut:])
            libraries = TAILS.get(chain)
            if libraries is None:
                continue
            base = func
            for _ in steps[cut:]:
                base = base.value
            if isinstance(base, cst.Call) and isinstance(base.func, cst.Name) and base.func.value == "super":
                return None  # of a class of the project's own
            if self.type_of(base) is not None:
                return None  # it is something else
            imported = {one.partition(".")[0] for one in self.module.imports.values()}
            for library in libraries:
                if library.name.partition(".")[0] in imported:
                    return library, chain, None
        return None

    def _state(self, func: Any, made: str | None, library: Library) -> tuple[str, str]:
        if made == GUARDED:
            return GUARDED_SITE, "its object passes a guard"
        qualified = self.module.qualified(func)
        callee = self.project.function(qualified)
        if callee is not None and _guard_of(*callee, self.project) == GUARDED_SITE:
            return GUARDED_SITE, "the function that is called is guarded"
        for name in reversed(self.functions):
            state = self._around(name)
            if state is not None:
                return state
        if made is None and qualified not in self._known_functions:
            return UNKNOWN, f"looks like {library.name}, on an object that cannot be told"
        return UNGUARDED, "no guard is in sight"

    def _around(self, name: str) -> tuple[str, str] | None:
        function = self.module.functions.get(name)
        if function is None:
            return None
        state = _guard_of(self.module, function, self.project)
        if state == GUARDED_SITE:
            return state, f"{name} is guarded"
        if state == UNKNOWN:
            return state, f"a decorator of {name} cannot be followed"
        callers = _callers(self.module, self.project, function)
        if callers and all(_is_guarded_through(self.module, self.project, one, {name}) for one in callers):
            return GUARDED_SITE, f"{name} is only called by guarded functions"
        return None


def _guard_of(module: Module, function: Function, project: Project) -> str | None:
    """
    Whether a guard stands around it.

    Returns:
        "guarded" when one decorates or wraps it; "unknown" when a decorator that is called a guard cannot be followed.
    """
    if function.name in module.wrapped or function.name.rpartition(".")[2] in module.wrapped:
        return GUARDED_SITE
    scope = Scoped(module, project)
    for decorator in function.decorators:
        expression = decorator.func if isinstance(decorator, cst.Call) else decorator
        if isinstance(expression, cst.Attribute) and expression.attr.value == "wrap":
            expression = expression.value
        if scope.type_of(expression) == GUARD:
            return GUARDED_SITE
        parts = dotted(expression)
        if parts is not None and "guard" in parts[-1].lower() and scope.type_of(expression) is None:
            return UNKNOWN
    return None


def _callers(module: Module, project: Project, function: Function) -> list[str]:
    """Functions of the module that mention *function*; empty when something else may call it too."""
    bare = function.name.rpartition(".")[2]
    if not bare.startswith("_"):
        qualified = f"{module.name}.{bare}"
        if any(qualified in other.imports.values() for other in project.modules.values()):
            return []
    mentions = _Mentions(bare, function.name)
    module.tree.visit(mentions)
    return [] if mentions.elsewhere else mentions.within


class _Mentions(cst.CSTVisitor):
    """In which functions a name is mentioned."""

    def __init__(self, bare: str, own: str) -> None:
        super().__init__()
        self._bare = bare
        self._own = own
        self._within: list[str] = []
        self.within: list[str] = []
        self.elsewhere = False

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:  # noqa: N802
        self._within.append(node.name.value)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: ARG002, N802
        self._within.pop()

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802
        self._within.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:  # noqa: ARG002, N802
        self._within.pop()

    def visit_FunctionDef_name(self, node: cst.FunctionDef) -> None:  # noqa: ARG002, N802
        self._within.append("")  # the definition's own name is no mention

    def leave_FunctionDef_name(self, node: cst.FunctionDef) -> None:  # noqa: ARG002, N802
        self._within.pop()

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
        if node.value != self._bare or (self._within and not self._within[-1]):
            return
        here = ".".join(self._within)
        if here and here != self._own:
            self.within.append(here)
        elif not here:
            self.elsewhere = True


def _is_guarded_through(module: Module, project: Project, name: str, seen: set[str]) -> bool:
    function = module.functions.get(name)
    if function is None or name in seen:
        return False
    if _guard_of(module, function, project) == GUARDED_SITE:
        return True
    callers = _callers(module, project, function)
    return bool(callers) and all(_is_guarded_through(module, project, one, {*seen, name}) for one in callers)


def counted(sites: Iterable[Site]) -> Iterator[tuple[str, int]]:
    """How many sites there are in each state."""
    listed = [site.state for site in sites]
    for state in (GUARDED_SITE, UNGUARDED, UNKNOWN):
        yield state, listed.count(state)
