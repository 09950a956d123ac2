"""The commands by name, in the order in which a user meets them."""

from __future__ import annotations

import typer

from raypod.cli import images, lifecycle, past, runs

app = typer.Typer(
    name="raypod",
    help="Run container images and Python functions on a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("up")(lifecycle.up)
app.command("down")(lifecycle.down)
app.command("status")(lifecycle.status)
app.command("kubeconfig")(lifecycle.kubeconfig)
app.command("run")(runs.run)
app.command("ps")(runs.ps)
app.command("logs")(runs.logs)
app.command("stop")(runs.stop)
app.command("get")(past.get)
app.command("history")(past.history)

image = typer.Typer(help="Images on the nodes.", no_args_is_help=True)
image.command("ls")(images.ls)
image.command("pull")(images.pull)
image.command("load")(images.load)
image.command("rm")(images.rm)
app.add_typer(image, name="image")
