"""The command line: `guardrails`, `platform-guardrails` and `python -m guardrails`."""

from __future__ import annotations

from typing import Final

# How the console script `platform-guardrails` knows that this package is ours.
DISTRIBUTION: Final = "platform-guardrails"


def main() -> None:
    """Run the command line on `sys.argv`."""
    from guardrails.cli.app import app  # noqa: PLC0415 - importing this package must not load typer
    from guardrails.cli.output import to_somewhere  # noqa: PLC0415 - as above

    with to_somewhere():
        app()
