"""The command line: `r2ag COMMAND …`, related commands in one file.

Nothing here loads torch; the commands import what they need when they run, so that help comes at once.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from r2ag import __version__
from r2ag.cli import store
from r2ag.cli.adapters import calibrate, export_llm, info
from r2ag.cli.ask import ask
from r2ag.cli.data.own import from_logs, make, mine
from r2ag.cli.data.published import convert, stats
from r2ag.cli.evaluation import choose, evaluate, report
from r2ag.cli.output import note, survive_any_text
from r2ag.cli.serve import mcp, serve
from r2ag.cli.settings import use_settings
from r2ag.cli.study import study_command
from r2ag.cli.train import train, train_encoder
from r2ag.errors import InputError
from r2ag.studies import STUDIES

FAILED, UNUSABLE, STOPPED = 1, 2, 130
# The system refuses the path itself, for whatever purpose.
_NO_PLACE = frozenset((errno.EACCES, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EPERM, errno.EROFS))
_PACKAGE = Path(__file__).parents[1]
_UsageError = typer.BadParameter.__mro__[1]

app = typer.Typer(name="r2ag", pretty_exceptions_enable=False, rich_markup_mode="rich")


class DocumentedCommand(TyperCommand):
    """A command with a docstring of parts: what it does, `Args:` about its options, and `Examples:`, one a line.

    An option that the docstring does not name keeps the help that it was made with.
    """

    def __init__(self, **settings: Any) -> None:
        text, _, examples = (settings.pop("help") or "").partition("\n\nExamples:\n")
        text, _, about_options = text.partition("\n\nArgs:\n")
        described = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", about_options, flags=re.MULTILINE))
        for parameter in settings["params"]:
            if parameter.name in described:
                parameter.help = _joined(described[parameter.name])
        settings["epilog"] = "\n\n".join(["Examples:", *map(str.strip, examples.splitlines())])
        super().__init__(help="\n\n".join(map(_joined, text.split("\n\n"))), **settings)


def _joined(text: str) -> str:
    """A paragraph as one line, which the terminal breaks again."""
    return " ".join(text.split())


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"r2ag {__version__}")
        raise typer.Exit


@app.callback(
    epilog='Start with:  r2ag ask "Which metal do the bridges use?" --docs notes/\n\n'
    "Every option may also be a variable, as R2AG_ASK_K=8, or stand in your settings file, which r2ag info names.",
)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Ask your documents with an LLM that is told why each document was retrieved (R²AG)."""
    use_settings(context)


def _add(group: typer.Typer, commands: Mapping[str, Callable[..., None]]) -> None:
    for name, function in commands.items():
        group.command(name, cls=DocumentedCommand)(function)


def _group(name: str, about: str, commands: Mapping[str, Callable[..., None]]) -> None:
    group = typer.Typer(help=about, rich_markup_mode="rich")
    _add(group, commands)
    app.add_typer(group, name=name)


_add(app, {"ask": ask, "index": store.index})
_group(
    "store",
    "Look after a store: info, check, compact, remove, copy.",
    {f.__name__: f for f in (store.info, store.check, store.compact, store.remove, store.copy)},
)
_add(app, {"serve": serve, "export-llm": export_llm, "mcp": mcp, "train": train, "train-encoder": train_encoder})
_add(app, {"calibrate": calibrate, "choose": choose, "eval": evaluate, "report": report})
_group(
    "study",
    "The paper's tables and figures, and our own, each by one command.",
    {name: study_command(name) for name in STUDIES},
)
_group(
    "data",
    "Convert data sets, make records of your own, mine distractors, see sizes.",
    {"convert": convert, "stats": stats, "mine": mine, "make": make, "from-logs": from_logs},
)
_add(app, {"info": info})


# Importing torch makes so many objects that garbage collection, then and once more at the end, takes a third of a short
# command's time.
GARBAGE_THRESHOLD = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 1 failed, 2 unusable arguments or input, 130 stopped.

    Args:
        arguments: None takes the process's own, and then the process is taken to be this command's alone.
    """
    if arguments is None:
        gc.set_threshold(GARBAGE_THRESHOLD)
        atexit.register(gc.freeze)
    survive_any_text()
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            status = app(args=given, prog_name="r2ag", standalone_mode=False) or 0
            sys.stdout.flush()
        except BrokenPipeError:
            return _stop_writing()
        except (KeyboardInterrupt, typer.Abort):
            status = STOPPED
        except Exception as error:
            return _report(error)
    if status == STOPPED:
        note("Stopped.")
    return int(status)


def _report(error: Exception) -> int:
    if os.environ.get("R2AG_TRACEBACK") == "1":
        traceback.print_exception(error)
    status = UNUSABLE
    if isinstance(error, InputError):
        sentence = str(error)
    elif isinstance(error, _UsageError):
        sentence = _usage(error)
    elif isinstance(error, OSError) and error.filename is not None and error.errno in _NO_PLACE:
        sentence = f"{error.filename} can't be used ({error.strerror}); name another file or folder."
    else:
        reason = "".join(f": {line}" for line in str(error).strip().splitlines()[:1])
        sentence = f"The command failed ({type(error).__name__}{reason}); set R2AG_TRACEBACK=1 to see where."
        status = FAILED
    note(f"r2ag: {sentence}")
    return status


def _usage(error: Exception) -> str:
    message = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).removesuffix(".")
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    if message == "Missing command" and context:
        message += f": {', '.join(context.command.commands)}"
    source = context.get_parameter_source(parameter.name) if context and parameter else None
    if parameter and source and source.name == "ENVIRONMENT":
        message = f"{message} (from {parameter.envvar})"
    return f"{message}; see {context.command_path if context else 'r2ag'} --help."


def _stop_writing() -> int:
    """The reader of our output has closed it, so the interpreter must not try to flush the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _show_warning(message: Warning | str, category: type[Warning], filename: str, *place: Any, **how: Any) -> None:
    """Shows our own warnings to the user, in one line; those of libraries are for developers."""
    if _PACKAGE in Path(filename).parents or os.environ.get("R2AG_TRACEBACK") == "1":
        note(f"r2ag: {message}")
