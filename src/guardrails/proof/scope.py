# ruff: noqa: D102 - libcst names the methods of a visitor, and says what they are
"""What expressions were made from: which objects are of which class, and which names are guards."""

from __future__ import annotations

from typing import Any, Final

from guardrails.proof.source import Module, Project, cst, dotted

_GUARD_TYPES: Final = frozenset({"guardrails.Guard", "guardrails.core.guard.Guard"})
_GUARD_MAKERS: Final = frozenset({"guardrails.from_policy", "guardrails.policy.from_policy"})
GUARD: Final = "guardrails.Guard"
GUARDED: Final = "guardrails:guarded"  # an object whose sends pass a guard already


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
            known = self.module.types.get(f"{self.classes[-1]}.self.{parts[1]}")
            return known or self._returned(f"{self.classes[-1]}.{parts[1]}", by_property=True)
        return self.project.type_of(self.module.qualified(node))

    def _made_by(self, call: Any) -> str | None:
        name = self.module.qualified(call.func)
        if name in _GUARD_TYPES or name in _GUARD_MAKERS or (name or "").endswith("Guard.of"):
            return GUARD
        if isinstance(call.func, cst.Attribute) and self.type_of(call.func.value) == GUARD:
            return GUARD if call.func.attr.value in ("extend", "open", "__enter__") else GUARDED
        if isinstance(call.func, cst.Name) and self.type_of(call.func) == GUARD:
            return GUARDED
        if name in ("typing.cast", "typing_extensions.cast") and call.args:
            return self._annotated(call.args[0].value)
        parts = dotted(call.func)
        if name is None and parts is not None and parts[0] == "self" and len(parts) == 2 and self.classes:  # noqa: PLR2004
            return self._returned(f"{self.classes[-1]}.{parts[1]}", by_property=False)
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

    def _returned(self, method: str, *, by_property: bool) -> str | None:
        """What a method of this module says that it returns."""
        function = self.module.functions.get(method)
        if function is None or function.node.returns is None:
            return None
        named = [parts[-1] for one in function.decorators if (parts := dotted(one)) is not None]
        if by_property is not any("property" in one for one in named):
            return None
        return self._annotated(function.node.returns.annotation)

    def _annotated(self, node: Any) -> str | None:
        """The class that an annotation names; the first of several."""
        if isinstance(node, cst.SimpleString):
            try:
                node = cst.parse_expression(str(node.evaluated_value))
            except (cst.ParserSyntaxError, ValueError):
                return None
        if isinstance(node, cst.BinaryOperation):  # X | None
            return self._annotated(node.left) or self._annotated(node.right)
        if isinstance(node, cst.Subscript):  # Optional[X], Annotated[X, ...]
            first = node.slice[0].slice
            return self._annotated(first.value) if isinstance(first, cst.Index) else None
        name = self.module.qualified(node)
        return GUARD if name in _GUARD_TYPES else name

    def _is_guarded(self, value: Any) -> bool:
        return self.type_of(value) == GUARDED if isinstance(value, cst.Call | cst.Name | cst.Attribute) else False


class Types(Scoped):
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

    def _keep(self, target: Any, made: str | None) -> None:
        parts = dotted(target)
        if made is None or parts is None:
            return
        if len(parts) == 1:
            within = self._within[-1] if self._within else ""
            if self.classes and within == self.classes[-1]:  # in the body of a class
                self.module.types[f"{within}.self.{parts[0]}"] = made
            else:
                self.module.types[f"{self.functions[-1] if self.functions else ''}:{parts[0]}"] = made
        elif parts[0] == "self" and len(parts) == 2 and self.classes:  # noqa: PLR2004 - self.attribute
            self.module.types[f"{self.classes[-1]}.self.{parts[1]}"] = made
