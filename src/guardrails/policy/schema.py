"""The JSON Schema of a policy file, for editors."""

from __future__ import annotations

import json
from typing import Any

from guardrails.policy.model import PolicyFile


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    schema: dict[str, Any] = _untitled(PolicyFile.model_json_schema(by_alias=True))
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "guardrails.yaml"
    schema["required"] = ["version", "platform"]
    return schema


def _untitled(schema: Any) -> Any:
    """Without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(one) for key, one in schema.items() if key != "title" or not isinstance(one, str)}


def schema_text() -> str:
    """The schema as it is printed and kept."""
    return json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"
