"""A project of Python files, as it was parsed with libcst: its modules, their functions, and where their names come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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

# libcst too: who needs it takes it from here, so that a missing extra is one error wherever it is met.
__all__ = ["Function", "MetadataWrapper", "Module", "PositionProvider", "Project", "cst", "dotted", "sorted_modules"]


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


def sorted_modules(project: Project) -> Iterable[Module]:
    """In the order of their paths."""
    return sorted(project.modules.values(), key=lambda module: module.shown)
