"""Reads a project: which files, what they import and define, and what their variables were made from."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError
from guardrails.proof.scope import Types
from guardrails.proof.source import Function, MetadataWrapper, Module, PositionProvider, Project, cst, dotted

_SKIPPED: Final = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist", "venv", "env"})
_TESTS: Final = ("test_", "conftest")
MOST_BYTES: Final = 2 * 1_048_576
_BRACKET: Final = re.compile(rb"[][(){}]")
_MOST_BRACKETS: Final = 200  # as for Python


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
    try:
        there = root.exists()
    except OSError:  # such as a name that is too long
        there = False
    if not there:
        raise ConfigError(f"{root}: there is no such file or folder")
    project = Project({}, [])

    def unlisted(error: OSError) -> None:
        project.unreadable.append((os.path.relpath(error.filename, root), type(error).__name__))

    for path in _files(root, tests=tests, exclude=exclude, unreadable=unlisted):
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
            if _too_deep(source):
                project.unreadable.append((shown, "nested too deeply"))
                continue
            wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
            module = Module(path, shown, _name_of(path, root), wrapper.module, wrapper.resolve(PositionProvider))
            wrapper.module.visit(_Names(module))
        except (cst.ParserSyntaxError, SyntaxError, UnicodeDecodeError, OSError, RecursionError, ValueError) as error:
            project.unreadable.append((shown, type(error).__name__))
            continue
        project.modules[module.name] = module
    for module in project.modules.values():
        module.tree.visit(Types(module, project))
    for module in project.modules.values():  # once more: what a later module defines
        module.tree.visit(Types(module, project))
    return project


def _too_deep(source: bytes) -> bool:
    """
    Whether libcst could overrun the stack of the process, and end it without a word: its parser has no bound.

    Python's own has one. What Python refuses for another reason (a grammar that is newer than it) is judged by its brackets.
    """
    try:
        _parsed(source)
    except (RecursionError, MemoryError):
        return True
    except (SyntaxError, ValueError):
        depth = deepest = 0
        for bracket in _BRACKET.finditer(source):
            depth = depth + 1 if bracket[0] in b"([{" else max(0, depth - 1)
            deepest = max(deepest, depth)
        return deepest > _MOST_BRACKETS
    return False


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of somebody's string escapes
        return ast.parse(source)


def _imports_only(path: Path, shown: str, name: str, source: bytes) -> Module:
    """A file in which nothing is to be found, but which may import what others define. Python's own parser is quick."""
    module = Module(path, shown, name, cst.Module([]), {})
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            module.imports |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            module.imports |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
    return module


def _files(root: Path, *, tests: bool, exclude: Sequence[str], unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for path in sorted(_below(root, unreadable)):
        inside = path.relative_to(root)
        if not tests and (path.name.startswith(_TESTS) or any(part in ("tests", "test") for part in inside.parts[:-1])):
            continue
        if not any(inside.match(pattern) for pattern in exclude):
            yield path


def _below(root: Path, unreadable: Callable[[OSError], None]) -> Iterator[Path]:
    """Python files in *root*; a folder that cannot be listed is told, for what is in it nobody has looked at."""
    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = [one for one in folders if one not in _SKIPPED and not one.startswith(".")]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


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
