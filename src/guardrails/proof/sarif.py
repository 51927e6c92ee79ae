"""Findings as SARIF 2.1.0, for code scanning. Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from guardrails import __version__

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True, slots=True)
class Result:
    """
    One finding.

    Args:
        rule: Its rule's id.
        level: "error", "warning" or "note".
        message: What is wrong, and what to do.
        file: Relative, with slashes.
        line: From 1.
        column: From 1.
        fingerprint: Stays the same while lines move.
    """

    rule: str
    level: str
    message: str
    file: str
    line: int
    column: int
    fingerprint: str


def sarif(rules: Mapping[str, str], results: Sequence[Result]) -> dict[str, Any]:
    """
    One run.

    Args:
        rules: Id to what the rule says.
        results: What was found.
    """
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "platform-guardrails",
                        "version": __version__,
                        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in rules.items()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": one.rule,
                        "level": one.level,
                        "message": {"text": one.message},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": one.file.replace("\\", "/")},
                                    "region": {"startLine": one.line, "startColumn": one.column},
                                }
                            }
                        ],
                        "partialFingerprints": {"guardrails/v1": one.fingerprint},
                    }
                    for one in results
                ],
            }
        ],
    }
