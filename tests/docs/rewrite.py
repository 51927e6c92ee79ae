"""Writes the help that commands print into docs/reference/command-line.md: `python -m tests.docs.rewrite`."""

from __future__ import annotations

from tests.docs.test_docs import _HELP, COMMAND_LINE, _command_line, _help


def main() -> None:
    """Renew each block of help; commands that have none yet get one at the end."""
    page = COMMAND_LINE.read_text(encoding="utf-8")
    shown = {found["command"] for found in _HELP.finditer(page)}
    for command in _command_line():
        if command not in shown:
            page += f"\n## `{command}`\n\n<!-- help: {command} -->\n```text\n```\n"
    for found in reversed(list(_HELP.finditer(page))):
        start, end = found.span("body")
        page = page[:start] + _help(found["command"]) + page[end:]
    COMMAND_LINE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
