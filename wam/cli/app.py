"""``wam``: all commands together."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Annotated, NoReturn

import typer

from wam.cli import common
from wam.cli.attack import attack
from wam.cli.bench import bench
from wam.cli.c2pa import c2pa_app
from wam.cli.claims import claims
from wam.cli.detect import detect
from wam.cli.detect_options import DetectCommand
from wam.cli.embed import embed
from wam.cli.garbage import collect_as_usual, collect_rarely
from wam.cli.key import key_app
from wam.cli.label_options import LabelCommand
from wam.cli.model import model_app
from wam.cli.panels import Commands
from wam.cli.recover import recover
from wam.cli.registry import registry_app
from wam.cli.serve import serve_app
from wam.cli.trace import trace
from wam.cli.verify import verify
from wam.cli.watch import watch
from wam.errors import mask_secrets
from wam.packages import missing

# click's UsageError, or that of the copy of click inside newer versions of typer: what typer's own problems are made of
UsageProblem: type[Exception] = typer.BadParameter.__bases__[0]

INTERRUPTED = 130  # exit status after Ctrl-C, as in shells
CLOSED = 141  # the same where whoever read the output has gone
BY_SIGNAL = 128  # exit status after another signal, less its number

app = Commands(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Invisible image watermarks that survive crops, turns, re-compression and collage, and say where they are.",
)
app.command(cls=LabelCommand)(embed)
app.command(cls=DetectCommand)(detect)
app.command()(trace)
app.command()(verify)
app.command()(recover)
app.command()(attack)
app.command()(bench)
app.command(cls=LabelCommand)(watch)
app.command()(claims)
app.add_typer(serve_app, name="serve")
app.add_typer(registry_app, name="registry")
app.add_typer(key_app, name="key")
app.add_typer(c2pa_app, name="c2pa")
app.add_typer(model_app, name="model")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"wam {version('wam-toolkit')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options before the command."""


def main() -> None:
    """Entry point of the ``wam`` script: whatever goes wrong is one line on standard error."""
    told = common.Told()
    received: list[int] = []
    _end_as_ctrl_c(received)
    _silence_warnings()
    collect_rarely()
    try:
        status = app(standalone_mode=False, obj=told)
    except typer.Abort:  # what older versions of typer make of Ctrl-C; newer ones return the status
        status = INTERRUPTED
    except UsageProblem as error:
        problem = str(getattr(error, "format_message", error.__str__)()).replace(": Value error, ", ": ")
        if problem:  # without arguments the help has been shown instead
            common.report(f"{problem.rstrip('.')}; see {_command_of(error)} --help")
        status = 2
    except BrokenPipeError:  # the reader, ``head`` say, has gone
        sys.stderr.close()
        status = CLOSED
    except (ModuleNotFoundError, *common.EXPECTED_ERRORS) as error:
        absent = missing(error)
        if told.debug or (isinstance(error, ModuleNotFoundError) and absent is None):
            typer.echo(mask_secrets(traceback.format_exc()), err=True)
        else:
            common.report(absent or error)
        status = 2
    except Exception:  # a fault of this program: not one of the picture, whose status says something else
        typer.echo(mask_secrets(traceback.format_exc()), err=True)
        status = 2
    finally:
        collect_as_usual()  # where no model was loaded
    if status == INTERRUPTED:
        common.report("interrupted; files written so far are whole")
        status = BY_SIGNAL + received[0] if received else INTERRUPTED
    sys.exit(status if isinstance(status, int) else 0)


def _command_of(error: Exception) -> str:
    """The command that a usage error is about, as it is typed: ``wam registry list``."""
    names, context = list[str](), getattr(error, "ctx", None)
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name or "")
        context = context.parent
    return " ".join(["wam", *names])


def _end_as_ctrl_c(received: list[int]) -> None:
    """Lets a signal to end clean up as Ctrl-C does, and notes its number; one that nohup has it ignore stays so."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


def _silence_warnings() -> None:
    """Keeps warnings of NumPy, Pillow and others from the terminal, in worker processes too; -W shows them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")
