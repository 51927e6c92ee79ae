"""A setting: its type, what it means when it is left out, and which way is tighter."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from types import UnionType
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from guardrails.policy.order import TIGHTER, Fixed, Order, Relation

Mode: TypeAlias = Literal["enforce", "monitor"]
_FIXED = Fixed()


class Settings(BaseModel):
    """Settings of one thing. Unknown ones are refused; one that is left out says nothing."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    platform_only: ClassVar[frozenset[str]] = frozenset()
    added: ClassVar[Relation | None] = (
        TIGHTER  # what a policy becomes that has them; None: left out, they say their defaults
    )

    def said(self) -> Iterator[tuple[str, Any]]:
        """Each setting that is not left out."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None:
                yield name, value


def says(meaning: str, *, otherwise: Any = None, default: str | None = None, required: bool = False) -> Any:
    """
    A setting's meaning, and what holds when no layer says anything.

    Args:
        meaning: For the reference.
        otherwise: The value that then holds.
        default: The same, as a policy spells it, where that is something else.
        required: Whether a control cannot be without it.
    """
    extra: dict[str, Any] = {"otherwise": otherwise, "required": required, "default": default or otherwise}
    return Field(default=None, description=meaning, json_schema_extra=lambda schema: _tidy(schema, extra))


def _tidy(schema: dict[str, Any], extra: dict[str, Any]) -> None:
    schema.pop("default", None)
    kept = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]  # left out, never null
    if len(kept) == 1:
        schema.pop("anyOf")
        schema.update(kept[0])
    elif kept:
        schema["anyOf"] = kept
    if extra["default"] is not None:
        schema["default"] = extra["default"]


def otherwise(field: FieldInfo) -> Any:
    """What holds when no layer says anything about *field*."""
    extra = field.json_schema_extra
    closed = getattr(extra, "__closure__", None) or ()
    return next((cell.cell_contents["otherwise"] for cell in closed if isinstance(cell.cell_contents, dict)), None)


def order_of(field: FieldInfo) -> Order:
    """Which way *field* is tighter."""
    return next((one for one in field.metadata if hasattr(one, "compare") and hasattr(one, "meet")), _FIXED)


def inner(annotation: Any) -> Any:
    """What an optional type is, when it is there."""
    if get_origin(annotation) is not None and type(None) in get_args(annotation):
        return next(one for one in get_args(annotation) if one is not type(None))
    return annotation


def has_forms(annotation: Any) -> bool:
    """Whether a setting may be written in several forms, such as a text or a list."""
    return get_origin(annotation) in (Union, UnionType) and sum(one is not type(None) for one in get_args(annotation)) > 1


def settings_in(annotation: Any) -> type[Settings] | None:
    """The settings that a field, or each entry of a mapping or list in it, holds."""
    kind = inner(annotation)
    if get_origin(kind) in (dict, list):
        kind = get_args(kind)[-1]
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


class Form(NamedTuple):
    """
    What is known of one setting, asked once for each kind of settings.

    Args:
        name: In code.
        key: In a file.
        required: Whether a control cannot be without it.
        holds: The settings inside, if any.
        direct: Whether it is those settings themselves, and not a mapping or list of them.
        order: Which way is tighter.
        otherwise: What holds when no layer says anything.
        description: What it says.
    """

    name: str
    key: str
    required: bool
    holds: type[Settings] | None
    direct: bool
    order: Order
    otherwise: Any
    description: str


@lru_cache(maxsize=64)
def forms_of(kind: type[Settings]) -> dict[str, Form]:
    """Every setting of *kind*, by name."""
    found: dict[str, Form] = {}
    for name, field in kind.model_fields.items():
        extra = field.json_schema_extra
        cells = getattr(extra, "__closure__", None) or ()
        said: dict[str, Any] = next((cell.cell_contents for cell in cells if isinstance(cell.cell_contents, dict)), {})
        holds = settings_in(field.annotation)
        found[name] = Form(
            name,
            field.alias or name,
            bool(said.get("required")),
            holds,
            holds is not None and inner(field.annotation) is holds,
            order_of(field),
            said.get("otherwise"),
            field.description or "",
        )
    return found
