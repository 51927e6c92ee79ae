"""Python files, parsed with libcst: where names come from, which objects are of which class, which names are guards."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from guardrails.errors import ConfigError

try:
    import libcst as cst
    from libcst.metadata import MetadataWrapper, PositionProvider
except ImportError:
    _missing = True
else:
    _missing = False
if _missing:
    raise ConfigError("libcst is not installed: pip install 'platform-guardrails[scan]'")

# cst too: who needs it takes it from here, so that a missing extra is one error wherever it is met.
__all__ = ["Function", "Module", "Project", "cst", "dotted", "read_project"]

_SKIPPED: Final = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist", "venv", "env"})
_TESTS: Final = ("test_", "conftest")
MOST_BYTES: Final = 2 * 1_048_576
_GUARD_TYPES: Final = frozenset({"guardrails.Guard", "guardrails.core.guard.Guard"})
_GUARD_MAKERS: Final = frozenset({"guardrails.from_policy", "guardrails.policy.from_policy"})
GUARD: Final = "guardrails.Guard"
GUARDED: Final = "guardrails:guarded"  # an object whose sends pass a guard already


@dataclass(slots=True)
class Function:
    """
    A function or method of a module.

    Args:
        name: Qualified within the module, such as `Sender.send`.
        node: Its tree.
        line: Where `def` stands.
        end: Its last line.
        decorators: Its decorators' expressions.
        calls: Names of functions of the module that it mentions.
    """

    name: str
    node: Any
    line: int
    end: int
    decorators: Sequence[Any]
    calls: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Module:
    """
    One file.

    Args:
        path: Where it is.
        shown: Its path as it is shown, relative to what was asked for.
        name: Dotted, as other modules import it.
        tree: The parsed file.
        positions: Of every node.
        imports: Local name to qualified name.
        types: Name of a variable (with its scope: `function:name`, `Class.self.attribute` or `:name`) to what it was made from.
        functions: By qualified name.
        wrapped: Names of functions that are passed to a guard.
        classes: Names of its classes.
    """

    path: Path
    shown: str
    name: str
    tree: Any
    positions: Mapping[Any, Any]
    imports: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    wrapped: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)

    def line(self, node: Any) -> int:
        """Where *node* begins."""
        line: int = self.positions[node].start.line
        return line

    def qualified(self, node: Any) -> str | None:
        """The qualified name of an expression such as `a.b.c`, through imports and through what this module defines."""
        parts = dotted(node)
        if parts is None:
            return None
        root, *rest = parts
        known = self.imports.get(root)
        if known is None:
            own = f":{root}" in self.types or root in self.functions or root in self.classes
            known = f"{self.name}.{root}" if own else None
        return None if known is None else ".".join((known, *rest))


@dataclass(slots=True)
class Project:
    """
    Everything that was read.

    Args:
        modules: By dotted name.
        unreadable: Files that are no Python, or too long, with why.
    """

    modules: dict[str, Module]
    unreadable: list[tuple[str, str]]

    def type_of(self, qualified: str | None, depth: int = 0) -> str | None:
        """What the module-level object of that name was made from, whichever module defines it."""
        if qualified is None or depth > 8:  # noqa: PLR2004 - names that import each other
            return None
        module, _, name = qualified.rpartition(".")
        there = self.modules.get(module)
        if there is None:
            return None
        known = there.types.get(f":{name}")
        if known is not None:
            return known
        return self.type_of(there.imports.get(name), depth + 1)

    def function(self, qualified: str | None) -> tuple[Module, Function] | None:
        """The function of that name, if it is in the project."""
        if qualified is None:
            return None
        parts = qualified.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module = self.modules.get(".".join(parts[:cut]))
            if module is None:
                continue
            found = module.functions.get(".".join(parts[cut:]))
            if found is not None:
                return module, found
            again = module.imports.get(parts[cut])
            return None if again is None or again == qualified else self.function(".".join((again, *parts[cut + 1 :])))
        return None


def dotted(node: Any) -> list[str] | None:
    """`a.b.c` as its parts; None for anything else."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return None
    return [node.value, *reversed(parts)]


def read_project(
    root: Path, *, tests: bool, exclude: Sequence[str] = (), relevant: Callable[[bytes], bool] | None = None
) -> Project:
    """
    Read every Python file below *root* (or the one that it is).

    Args:
        root: A folder or a file.
        tests: Whether tests are read too.
        exclude: Patterns of paths to leave out, as `Path.match` has them.
        relevant: Whether a file is worth parsing whole, which takes libcst some 0.1 s; of others only imports are read.

    Raises:
        ConfigError: There is no such path.
    """
    if not root.exists():
        raise ConfigError(f"{root}: there is no such file or folder")
    project = Project({}, [])
    for path in _files(root, tests=tests, exclude=exclude):
        shown = str(path.relative_to(root)) if root.is_dir() else path.name
        try:
            if path.stat().st_size > MOST_BYTES:
                project.unreadable.append((shown, f"more than {MOST_BYTES} bytes"))
                continue
            source = path.read_bytes()
            if relevant is not None and not relevant(source):
                module = _imports_only(path, shown, _name_of(path, root), source)
                project.modules[module.name] = module
                continue
            wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
            positions = wrapper.resolve(PositionProvider)
        except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError, OSError, RecursionError, ValueError) as error:
            project.unreadable.append((shown, type(error).__name__))
            continue
        module = Module(path, shown, _name_of(path, root), wrapper.module, positions)
        wrapper.module.visit(_Names(module))
        project.modules[module.name] = module
    for module in project.modules.values():
        module.tree.visit(_Types(module, project))
    for module in project.modules.values():  # once more: what a later module defines
        module.tree.visit(_Types(module, project))
    return project


def _imports_only(path: Path, shown: str, name: str, source: bytes) -> Module:
    """A file in which nothing is to be found, but which may import what others define. Python's own parser is quick."""
    module = Module(path, shown, name, cst.Module([]), {})
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of somebody's string escapes
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            module.imports |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            module.imports |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
    return module


def _files(root: Path, *, tests: bool, exclude: Sequence[str]) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        folders = inside.parts[:-1]
        if any(part in _SKIPPED or part.startswith(".") for part in folders):
            continue
        if not tests and (path.name.startswith(_TESTS) or any(part in ("tests", "test") for part in folders)):
            continue
        if not any(inside.match(pattern) for pattern in exclude):
            yield path


def _name_of(path: Path, root: Path) -> str:
    """As it would be imported: from the outermost folder that is a package, else from what was asked for."""
    parts = [path.stem] if path.stem != "__init__" else []
    folder = path.parent
    base = root if root.is_dir() else root.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    if folder != base and base in folder.parents and folder.name != "src":
        parts = [*folder.relative_to(base).parts, *parts] if (folder.relative_to(base).parts[:1] != ("src",)) else parts
    return ".".join(parts) or path.stem


class _Names(cst.CSTVisitor):
    """Imports and functions."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._module = module
        self._within: list[str] = []

    def visit_Import(self, node: cst.Import) -> None:  # noqa: N802 - libcst names the method
        for alias in node.names:
            name = ".".join(dotted(alias.name) or [])
            local = alias.asname.name.value if alias.asname and isinstance(alias.asname.name, cst.Name) else None
            self._module.imports[local or name.split(".")[0]] = name if local else name.split(".")[0]

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:  # noqa: N802
        if isinstance(node.names, cst.ImportStar):
            return
        source = ".".join(dotted(node.module) or []) if node.module is not None else ""
        if node.relative:
            package = self._module.name.split(".")
            if self._module.path.stem != "__init__":
                package = package[:-1]
            package = package[: len(package) - (len(node.relative) - 1)]
            source = ".".join([*package, *([source] if source else [])])
        for alias in node.names:
            name = ".".join(dotted(alias.name) or [])
            local = alias.asname.name.value if alias.asname and isinstance(alias.asname.name, cst.Name) else name
            self._module.imports[local] = f"{source}.{name}" if source else name

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802
        self._module.classes.add(node.name.value)
        self._within.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:  # noqa: ARG002, N802
        self._within.pop()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:  # noqa: N802
        name = ".".join((*self._within, node.name.value))
        where = self._module.positions[node]
        self._module.functions[name] = Function(
            name, node, self._module.line(node.name), where.end.line, [one.decorator for one in node.decorators]
        )
        self._within.append(node.name.value)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: ARG002, N802
        self._within.pop()


class Scoped(cst.CSTVisitor):
    """A visitor that knows in which function and class it is."""

    def __init__(self, module: Module, project: Project) -> None:
        super().__init__()
        self.module = module
        self.project = project
        self.functions: list[str] = []
        self.classes: list[str] = []
        self._within: list[str] = []

    def visit_ClassDef(self, node: cst.ClassDef) -> None:  # noqa: N802
        self.classes.append(node.name.value)
        self._within.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef) -> None:  # noqa: ARG002, N802
        self.classes.pop()
        self._within.pop()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:  # noqa: N802
        self._within.append(node.name.value)
        self.functions.append(".".join(self._within))

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: ARG002, N802
        self._within.pop()
        self.functions.pop()

    def type_of(self, node: Any) -> str | None:
        """What an expression was made from: a qualified class or factory."""
        if isinstance(node, cst.Await):
            return self.type_of(node.expression)
        if isinstance(node, cst.Call):
            return self._made_by(node)
        parts = dotted(node)
        if parts is None:
            return None
        if len(parts) == 1:
            for scope in (*reversed(self.functions), ""):
                known = self.module.types.get(f"{scope}:{parts[0]}")
                if known is not None:
                    return known
        if parts[0] in ("self", "cls") and len(parts) == 2 and self.classes:  # noqa: PLR2004 - self.attribute
            return self.module.types.get(f"{self.classes[-1]}.self.{parts[1]}")
        return self.project.type_of(self.module.qualified(node))

    def _made_by(self, call: Any) -> str | None:
        name = self.module.qualified(call.func)
        if name in _GUARD_TYPES or name in _GUARD_MAKERS or (name or "").endswith("Guard.of"):
            return GUARD
        if isinstance(call.func, cst.Attribute) and self.type_of(call.func.value) == GUARD:
            return GUARD if call.func.attr.value in ("extend", "open", "__enter__") else GUARDED
        if isinstance(call.func, cst.Name) and self.type_of(call.func) == GUARD:
            return GUARDED
        if name is None:
            return None
        if name.startswith("guardrails.integrations.") or any(self._is_guarded(one.value) for one in call.args):
            return GUARDED  # made by an adapter of ours, or given one (a transport, a client)
        if name in ("boto3.client", "boto3.resource") and call.args and isinstance(call.args[0].value, cst.SimpleString):
            return f"boto3.client:{call.args[0].value.raw_value}"
        found = self.project.function(name)
        if found is not None:  # a factory of the project: what it says that it returns
            module, function = found
            return module.qualified(function.node.returns.annotation) if function.node.returns is not None else None
        return name

    def _is_guarded(self, value: Any) -> bool:
        return self.type_of(value) == GUARDED if isinstance(value, cst.Call | cst.Name | cst.Attribute) else False


class _Types(Scoped):
    """What variables were made from; which functions a guard wraps."""

    def visit_Assign(self, node: cst.Assign) -> None:  # noqa: N802
        made = self.type_of(node.value)
        for target in node.targets:
            self._keep(target.target, made)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:  # noqa: N802
        made = self.type_of(node.value) if node.value is not None else None
        self._keep(node.target, made or self._annotated(node.annotation.annotation))

    def visit_With(self, node: cst.With) -> None:  # noqa: N802
        for item in node.items:
            if item.asname is not None:
                self._keep(item.asname.name, self.type_of(item.item))

    def visit_Param(self, node: cst.Param) -> None:  # noqa: N802
        if node.annotation is not None:
            self._keep(node.name, self._annotated(node.annotation.annotation))

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802
        if not node.args:
            return
        wraps = isinstance(node.func, cst.Attribute) and node.func.attr.value in ("wrap", "run", "arun")
        of = node.func.value if isinstance(node.func, cst.Attribute) and wraps else node.func
        if isinstance(node.func, cst.Call):  # guard(text=...)(send)
            of = node.func.func
        if self.type_of(of) != GUARD:
            return
        for argument in node.args[:2]:
            parts = dotted(argument.value)
            if parts is not None:
                self.module.wrapped.add(".".join(parts[1:] if parts[0] == "self" else parts))

    def _annotated(self, node: Any) -> str | None:
        if isinstance(node, cst.BinaryOperation):  # X | None
            return self._annotated(node.left) or self._annotated(node.right)
        if isinstance(node, cst.Subscript):  # Optional[X], Annotated[X, ...]
            first = node.slice[0].slice
            return self._annotated(first.value) if isinstance(first, cst.Index) else None
        name = self.module.qualified(node)
        return GUARD if name in _GUARD_TYPES else name

    def _keep(self, target: Any, made: str | None) -> None:
        parts = dotted(target)
        if made is None or parts is None:
            return
        if len(parts) == 1:
            scope = self.functions[-1] if self.functions else ""
            self.module.types[f"{scope}:{parts[0]}"] = made
        elif parts[0] == "self" and len(parts) == 2 and self.classes:  # noqa: PLR2004 - self.attribute
            self.module.types[f"{self.classes[-1]}.self.{parts[1]}"] = made


def sorted_modules(project: Project) -> Iterable[Module]:
    """In the order of their paths."""
    return sorted(project.modules.values(), key=lambda module: module.shown)
