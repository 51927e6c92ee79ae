"""`guardrails mask` and `guardrails scan`: files, pipes, JSON Lines and CSV, masked or searched on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.cli.usage import UsageError, one_line_errors

if TYPE_CHECKING:
    from guardrails.cli.work import Search

_Files = Annotated[
    list[Path] | None, typer.Argument(metavar="[FILE]...", help="What to read; nothing or - for standard input.")
]
_Format = Annotated[
    str | None,
    typer.Option(
        "--format", help="lines, text (paragraphs), jsonl or csv. Without it: as the file's name ends, else lines."
    ),
]
_Fields = Annotated[
    list[str] | None,
    typer.Option("--field", metavar="NAME", help="Only this column, or selector such as messages[*].content; repeatable."),
]
_Delimiter = Annotated[str | None, typer.Option("--delimiter", metavar="CHAR", help="Between the cells of CSV.")]
_Entities = Annotated[list[str] | None, typer.Option("--entity", metavar="NAME", help="Only this entity; repeatable.")]
_Names = Annotated[str, typer.Option("--names", help="model, or off: patterns only, without the name model.")]
_Workers = Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="Processes.")]
_SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave records out that cannot be read, instead of stopping.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]


def mask(
    files: _Files = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File, or folder for several files; without it: standard output."
        ),
    ] = None,
    operator: Annotated[
        list[str] | None,
        typer.Option("--operator", metavar="ENTITY=NAME", help="Such as DEFAULT=hash or PHONE_NUMBER=partial; repeatable."),
    ] = None,
    format: _Format = None,  # noqa: A002 - the option's name
    field: _Fields = None,
    delimiter: _Delimiter = None,
    entity: _Entities = None,
    names: _Names = "model",
    workers: _Workers = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an interrupted run left.")] = False,  # noqa: FBT002
    force: Annotated[bool, typer.Option("--force", help="Replace an output that is there.")] = False,  # noqa: FBT002
    skip_bad: _SkipBad = False,  # noqa: FBT002
    quiet: _Quiet = False,  # noqa: FBT002
) -> None:
    """
    Mask personal data in files or pipes. Nothing leaves this machine.

    What is not personal stays as it was written. An output file gets its name when it is whole; an interrupted run goes on
    with --resume. Progress and summary go to standard error. Exit code 0: all is masked. 1: records were left out.
    2: usage, or a record that cannot be read. 130: interrupted.
    """
    with one_line_errors():
        search = _search(format, field, delimiter, entity, names, operator, skip_bad=skip_bad)
        from guardrails.cli.run import Run  # noqa: PLC0415 - `--help` does not need it

        left_out = Run(search, workers, quiet=quiet).mask(files or [], output, resume=resume, force=force)
    raise typer.Exit(1 if left_out else 0)


def scan(
    files: _Files = None,
    format: _Format = None,  # noqa: A002 - the option's name
    field: _Fields = None,
    delimiter: _Delimiter = None,
    entity: _Entities = None,
    names: _Names = "model",
    workers: _Workers = 1,
    as_json: Annotated[  # noqa: FBT002
        bool, typer.Option("--json", help="One finding a line on standard output: where, what, never the text.")
    ] = False,
    skip_bad: _SkipBad = False,  # noqa: FBT002
    quiet: _Quiet = False,  # noqa: FBT002
) -> None:
    """
    Say where personal data is in files, folders or pipes, without showing it.

    Folders are searched for text files. Exit code 0: nothing was found. 1: something was. 2: usage, or a record that cannot
    be read. 130: interrupted.
    """
    with one_line_errors():
        search = _search(format, field, delimiter, entity, names, None, skip_bad=skip_bad)
        from guardrails.cli.run import Run  # noqa: PLC0415 - `--help` does not need it

        found = Run(search, workers, quiet=quiet).scan(files or [], as_json=as_json)
    raise typer.Exit(1 if found else 0)


def _search(
    format_: str | None,
    fields: Sequence[str] | None,
    delimiter: str | None,
    entities: Sequence[str] | None,
    names: str,
    operators: Sequence[str] | None,
    *,
    skip_bad: bool,
) -> Search:
    from guardrails.cli.work import Search  # noqa: PLC0415 - `--help` does not need it

    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise UsageError("--delimiter takes one character; for a tab write --delimiter $'\\t'")
    pairs = []
    for one in operators or ():
        entity, is_pair, name = one.partition("=")
        if not is_pair or not entity or not name:
            raise UsageError(f"--operator {one}: write ENTITY=NAME, such as DEFAULT=hash")
        if name == "pseudonym":
            raise UsageError("--operator ...=pseudonym needs a vault and a subject; use hash, encrypt or synthetic")
        pairs.append((entity, name))
    return Search(format_, tuple(fields or ()), delimiter, tuple(entities or ()), names, tuple(pairs), skip_bad)
