"""The commands by name, in the order in which a user meets them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from raypod.cli import execution, files, images, lifecycle, past, ports, runs

_SETTINGS = {"help_option_names": ["-h", "--help"]}


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"raypod {version('raypod')}\n")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None: ...


def _add(commands: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """In a list of commands the first sentence is shown whole, on as many lines as it needs."""
    sentence = " ".join((function.__doc__ or "").split("\n\n")[0].split())
    commands.command(name, short_help=sentence.removesuffix("."))(function)


app = typer.Typer(
    name="raypod",
    help="Run container images and Python functions on a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
    callback=_options,
)
_add(app, "up", lifecycle.up)
_add(app, "down", lifecycle.down)
_add(app, "status", lifecycle.status)
_add(app, "kubeconfig", lifecycle.kubeconfig)
_add(app, "run", runs.run)
_add(app, "ps", runs.ps)
_add(app, "logs", runs.logs)
_add(app, "exec", execution.exec_)
_add(app, "attach", execution.attach)
_add(app, "cp", files.cp)
_add(app, "port-forward", ports.port_forward)
_add(app, "stop", runs.stop)
_add(app, "get", past.get)
_add(app, "explain", past.explain)
_add(app, "history", past.history)

image = typer.Typer(help="Images on the nodes.", no_args_is_help=True, context_settings=_SETTINGS)
_add(image, "ls", images.ls)
_add(image, "pull", images.pull)
_add(image, "load", images.load)
_add(image, "rm", images.rm)
app.add_typer(image, name="image")


def run_app() -> None:
    """Raises SystemExit; a wrong command line is told in one sentence (exit code 2)."""
    try:
        code = app(prog_name="raypod", standalone_mode=False)
    except typer.TyperException as error:
        told = error.format_message()
        if told.startswith("Usage:"):  # commands without a command: their help
            sys.stderr.write(f"{told}\n")
        else:
            context = getattr(error, "ctx", None)
            path = context.command_path if context else "raypod"
            sys.stderr.write(f"raypod: {told.rstrip('.')}; `{path} -h` tells what there is\n")
        sys.exit(error.exit_code)
    sys.exit(code or 0)
