"""
The console script `platform-guardrails`: the same command line as `guardrails`, and it survives a name collision.

The distributions `guardrails-ai` and `openai-guardrails` install a top-level package `guardrails` too. In one venv the
last one wins, file by file and silently. This package has a name of its own and imports only the standard library, so
it still runs when another distribution won, and says what happened.
"""

from __future__ import annotations

import sys
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "platform-guardrails"
PACKAGE: Final = "guardrails"


def main() -> None:
    """
    Run the command line, or say why it cannot run.

    Raises:
        SystemExit: Code 1 and a paragraph on stderr when the package `guardrails` is not ours (any more).
    """
    trouble = collision()
    if trouble is not None:
        print(trouble, file=sys.stderr)  # noqa: T201 - the one thing this script is for
        raise SystemExit(1)
    import_module(f"{PACKAGE}.cli").main()


def collision() -> str | None:
    """What is wrong with the installed package `guardrails`, for a person; None when it is ours."""
    problem = _problem()
    if problem is None:
        return None
    others = sorted(set(metadata.packages_distributions().get(PACKAGE, [])) - {DISTRIBUTION})
    lines = [f"{DISTRIBUTION}: the package `{PACKAGE}` that Python finds here is not ours: {problem}."]
    if others:
        lines += [
            f"These distributions install a top-level `{PACKAGE}` as well, over the same files: {', '.join(others)}.",
            "To fix it, give each a venv of its own; or keep only this one:",
            f"    pip uninstall {' '.join(others)}",
            f"    pip install --force-reinstall --no-deps {DISTRIBUTION}",
        ]
    else:
        lines += [
            f"No other installed distribution owns it: look for a folder or file named `{PACKAGE}` earlier on sys.path,",
            f"or repair this one: pip install --force-reinstall --no-deps {DISTRIBUTION}",
        ]
    return "\n".join(lines)


def _problem() -> str | None:
    spec = util.find_spec(PACKAGE)
    if spec is None:
        return "there is none"
    if spec.origin is None:
        return "it is a bare folder without code"
    # A foreign folder `errors/` beside our `errors.py` would be imported in its place: the sign of two mixed installs.
    if (Path(spec.origin).parent / "errors" / "__init__.py").exists():
        return f"files of two distributions are mixed in {Path(spec.origin).parent}"
    try:
        cli = import_module(f"{PACKAGE}.cli")
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything; its class is all that we report
        return f"{PACKAGE}.cli cannot be imported ({type(error).__name__})"
    if getattr(cli, "DISTRIBUTION", None) != DISTRIBUTION:
        return f"{spec.origin} belongs to something else"
    return None
