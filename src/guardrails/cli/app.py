"""The commands and their options. What a command does is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from guardrails.cli.audit import app as audit_app
from guardrails.cli.demo import demo
from guardrails.cli.doctor import doctor
from guardrails.cli.drill import drill
from guardrails.cli.evaluate import evaluate
from guardrails.cli.homegrown import homegrown
from guardrails.cli.inventory import inventory
from guardrails.cli.keys import app as keys_app
from guardrails.cli.limits import app as limits_app
from guardrails.cli.mask import mask, scan
from guardrails.cli.models import app as models_app
from guardrails.cli.new_control import new_control
from guardrails.cli.overlap import overlap
from guardrails.cli.policy import app as policy_app
from guardrails.cli.sends import sends
from guardrails.cli.subject import app as subject_app
from guardrails.cli.switch import app as switch_app
from guardrails.cli.watch import watch

app: typer.Typer = typer.Typer(
    name="guardrails",
    help="One guard around every function that sends a message: PII masking, rate limiting, audit logging.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help, the same on every terminal
    # A traceback with locals would print what messages hold.
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(audit_app, name="audit")
app.add_typer(keys_app, name="keys")
app.add_typer(limits_app, name="limits")
app.add_typer(models_app, name="models")
app.add_typer(policy_app, name="policy")
app.add_typer(switch_app, name="switch")
app.add_typer(subject_app, name="subject")
app.command("new-control")(new_control)
app.command()(demo)
app.command()(doctor)
app.command()(mask)
app.command()(scan)
app.command()(watch)
app.command()(drill)
app.command("eval")(evaluate)
app.command()(sends)
app.command()(inventory)
app.command()(overlap)
app.command()(homegrown)


def _print_version(value: bool) -> None:  # noqa: FBT001 - the shape of a typer callback
    if value:
        from guardrails import __version__  # noqa: PLC0415

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # noqa: FBT002 - a command line flag
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version
