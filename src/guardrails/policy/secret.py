"""Secrets of a policy file: where they are, never what they are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from guardrails.errors import ConfigError
from guardrails.policy.contents import contents
from guardrails.policy.values import refuse

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_SECRET_BYTES: Final = 65_536


class SecretError(ConfigError):
    """
    A secret is not there.

    Attributes:
        secret: Which.
    """

    def __init__(self, secret: Secret, problem: str) -> None:
        super().__init__(problem, control="policy")
        self.secret = secret


@dataclass(frozen=True, slots=True)
class Secret:
    """
    Where a secret is, or an address that may hold one. Read when it is used, and never shown.

    Args:
        where: "env", "file" or "text".
        name: Of the environment variable or file; the text itself.
    """

    where: str
    name: str

    def reveal(self, folder: str | os.PathLike[str] = "") -> str:
        """
        The secret.

        Args:
            folder: What a relative path of a file starts from.

        Raises:
            SecretError: It is not there.
        """
        if self.where == "text":
            return self.name
        if self.where == "env":
            found = os.environ.get(self.name)
            if found:
                return found
            raise SecretError(self, f"the environment variable {self.name} is not set")
        try:
            raw = contents(Path(folder, self.name), _MOST_SECRET_BYTES)
            if len(raw) <= _MOST_SECRET_BYTES:
                return raw.decode("utf-8").strip()
            why = "it is too large"
        except (OSError, ValueError) as error:
            why = type(error).__name__
        raise SecretError(self, f"the secret in the file {self.name} cannot be read ({why})")

    def __repr__(self) -> str:
        return f"Secret({self.where}{'' if self.where == 'text' else ':' + self.name})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read by `secret`."""
        return core_schema.no_info_plain_validator_function(
            secret,
            metadata={
                "pydantic_js_functions": [
                    lambda _schema, _handler: {
                        "anyOf": [
                            {"type": "string", "examples": ["${GUARDRAILS_KEY}"]},
                            {
                                "type": "object",
                                "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
                                "minProperties": 1,
                                "maxProperties": 1,
                                "additionalProperties": False,
                            },
                        ]
                    }
                ]
            },
        )


def secret(value: object) -> Secret:
    """`${NAME}`, `{env: NAME}`, `{file: PATH}`, or an address that holds no secret."""
    match value:
        case Secret():
            return value
        case str() if found := _VARIABLE.fullmatch(value.strip()):
            return Secret("env", found[1])
        case str() if "${" not in value and value.strip():
            return Secret("text", value)
        case {"env": str(name), **rest} if not rest and name:
            return Secret("env", name)
        case {"file": str(name), **rest} if not rest and name:
            return Secret("file", name)
        case _:
            return refuse("write ${NAME}, {env: NAME} or {file: PATH}, alone")
