"""`python -m guardrails` is the command line."""

from __future__ import annotations

from guardrails.cli import main

main()
