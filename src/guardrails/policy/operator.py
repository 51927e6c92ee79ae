"""Operators as a policy file names them: what becomes of a value that was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from guardrails.policy.values import refuse

# From the one that leaves most of a value to the one that lets nothing pass.
OPERATORS: Final = ("keep", "partial", "pseudonym", "encrypt", "hash", "synthetic", "replace", "redact", "block")
_PARAMETERS: Final[dict[str, dict[str, type]]] = {"partial": {"keep_last": int}, "replace": {"new_value": str}}
_KEEP_LAST: Final = 4


@dataclass(frozen=True, slots=True)
class Operator:
    """
    What becomes of a value that was found.

    Args:
        name: One of `OPERATORS`.
        parameters: Name and value of each.
    """

    name: str
    parameters: tuple[tuple[str, str | int], ...] = ()

    @property
    def keep_last(self) -> int:
        """Characters that `partial` keeps; 0 for all others."""
        return int(dict(self.parameters).get("keep_last", _KEEP_LAST)) if self.name == "partial" else 0

    @property
    def tightness(self) -> tuple[int, int]:
        """Larger where less of a value is left."""
        return OPERATORS.index(self.name), -self.keep_last

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.parameters)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read by `operator`."""
        return core_schema.no_info_plain_validator_function(
            operator, metadata={"pydantic_js_functions": [lambda _schema, _handler: _OPERATOR_SCHEMA]}
        )


def operator(value: object) -> Operator:
    """A name, or a name with its parameters: `{partial: {keep_last: 2}}`."""
    name: object = value
    given: object = {}
    if isinstance(value, Operator):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(name, given)] = value.items()
    if not isinstance(name, str) or name not in OPERATORS:
        refuse(f"an operator is one of {', '.join(OPERATORS)}, or one with parameters: {{partial: {{keep_last: 2}}}}")
    known: dict[str, type] = _PARAMETERS.get(name, {})
    if not isinstance(given, dict) or not given.keys() <= known.keys():
        refuse(f"{name} has {'the parameters ' + ', '.join(known) if known else 'no parameters'}")
    for key, one in given.items():
        if type(one) is not known[key] or (isinstance(one, int) and one < 1):
            refuse(f"{key} is {'an int of at least 1' if known[key] is int else 'text'}")
    return Operator(name, tuple(sorted(given.items())))


_OPERATOR_SCHEMA: Final = {
    "anyOf": [
        {"enum": list(OPERATORS)},
        {
            "type": "object",
            "properties": {
                name: {
                    "type": "object",
                    "properties": {key: {"type": "integer" if kind is int else "string"} for key, kind in known.items()},
                    "additionalProperties": False,
                }
                for name, known in _PARAMETERS.items()
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}
