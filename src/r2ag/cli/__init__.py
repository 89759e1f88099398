"""The command line: `r2ag COMMAND …`, one file a command.

Nothing here loads torch; the commands import what they need when they run, so that help comes at once.
"""

from __future__ import annotations

import atexit
import errno
import gc
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from r2ag import __version__
from r2ag.cli import store
from r2ag.cli.ask import ask
from r2ag.cli.calibrate import calibrate
from r2ag.cli.choose import choose
from r2ag.cli.data.convert import convert
from r2ag.cli.data.from_logs import from_logs
from r2ag.cli.data.make import make
from r2ag.cli.data.mine import mine
from r2ag.cli.data.stats import stats
from r2ag.cli.eval import evaluate
from r2ag.cli.export_llm import export_llm
from r2ag.cli.index import index
from r2ag.cli.info import info
from r2ag.cli.mcp import mcp
from r2ag.cli.output import clean, survive_any_text
from r2ag.cli.report import report
from r2ag.cli.serve import serve
from r2ag.cli.settings import use_settings
from r2ag.cli.study import study_command
from r2ag.cli.train import train
from r2ag.cli.train_encoder import train_encoder
from r2ag.errors import InputError
from r2ag.studies import STUDIES

FAILED, UNUSABLE, STOPPED = 1, 2, 130
# Why the system refuses a path, whatever is done with it.
_NO_PLACE = frozenset((errno.EACCES, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EPERM, errno.EROFS))
_PACKAGE = Path(__file__).parents[1]
_UsageError = typer.BadParameter.__mro__[1]

app = typer.Typer(name="r2ag", pretty_exceptions_enable=False, rich_markup_mode="rich")
data_group = typer.Typer(rich_markup_mode="rich")
studies = typer.Typer(help="The paper's tables and figures, and our own, each by one command.")
stores = typer.Typer(help="Look after a store: info, check, compact, remove, copy.")


def _command(name: str, function: Callable[..., None], *examples: str, group: typer.Typer = app) -> None:
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    described = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    group.command(name, help=described, epilog="\n\n".join(["Examples:", *examples]))(function)


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


_command(
    "ask",
    ask,
    'r2ag ask "Who built the first bridge?" --docs notes/',
    'r2ag ask "Who built the first bridge?" --docs a.md b.txt --compare',
    "r2ag ask --docs notes/",
    'r2ag ask "Who built the first bridge?" --docs notes/ --json | jq .citations',
    'r2ag ask "Who built the first bridge?" --store my-store --finder hybrid',
    'r2ag ask "Who built the first bridge?" --store my-store --where "team = bridges and modified >= 2024-01-01"',
)
_command(
    "index",
    index,
    "r2ag index notes/ --store my-store",
    "r2ag index minutes/ --store my-store --meta team=bridges --meta year=2024",
    "r2ag index notes/ --store qdrant+http://localhost:6333/notes",
    "r2ag index notes/ --store my-store --encoder nomic-embed-text --embeddings-url http://localhost:11434/v1",
)
_command("info", store.info, "r2ag store info my-store", group=stores)
_command("check", store.check, "r2ag store check my-store", group=stores)
_command("compact", store.compact, "r2ag store compact my-store", group=stores)
_command("remove", store.remove, "r2ag store remove my-store notes/old.md", group=stores)
_command("copy", store.copy, "r2ag store copy my-store postgresql://ann@db.example.org/notes", group=stores)
app.add_typer(stores, name="store")
_command(
    "serve",
    serve,
    "r2ag serve --docs notes/",
    "r2ag serve --store my-store --port 8080",
    "r2ag serve --store my-store --engine vllm --engine-url http://127.0.0.1:8001/v1",
    "r2ag serve --store my-store --host 0.0.0.0 --allow-host r2ag.example.org --keys keys.txt",
)
_command(
    "export-llm",
    export_llm,
    "r2ag export-llm --adapter joint --output joint-llm",
    "r2ag serve --docs notes/ --adapter joint --llm joint-llm --engine vllm --engine-url http://127.0.0.1:8001/v1",
)
_command("mcp", mcp, "r2ag mcp --docs notes/", "r2ag mcp --store my-store --finder hybrid")
_command(
    "train",
    train,
    "r2ag train --data records.jsonl --output my-adapter --dry-run",
    "r2ag train --data nq.jsonl.gz hotpotqa.jsonl.gz:0.5 --output my-adapter",
    "r2ag train --data nq.jsonl.gz --output my-adapter --resume",
    "r2ag train --data nq.jsonl.gz --output joint --lora --llm Qwen/Qwen3-0.6B",
)
_command(
    "train-encoder",
    train_encoder,
    "r2ag train-encoder --data nq.jsonl.gz hotpotqa.jsonl.gz --output my-encoder",
    "r2ag train --data nq.jsonl.gz --output my-adapter --encoder-lora my-encoder",
)
_command(
    "calibrate",
    calibrate,
    "r2ag calibrate --data ours.jsonl --adapter my-adapter --output our-adapter",
)
_command(
    "choose",
    choose,
    "r2ag choose --data nq.jsonl.gz hotpotqa.jsonl.gz --limit 30 --adapter my-adapter --output chosen",
    "r2ag choose --data development.jsonl --whole --adapter my-adapter --output chosen",
)
_command(
    "eval",
    evaluate,
    "r2ag eval --data nq-test.jsonl.gz --methods rag,r2ag --limit 200",
    "r2ag eval --data nq-test.jsonl.gz --methods rag-topn,r2ag,r2ag+prune --output figures",
)
_command(
    "report",
    report,
    "r2ag report figures",
    "r2ag report figures --output page.html --attention 5a8b57f25542995d1e6f1371",
)
for _study in STUDIES:
    _trained = " --train train.jsonl.gz" if STUDIES[_study].trains else ""
    _command(
        _study,
        study_command(_study),
        f"r2ag study {_study} --data test.jsonl.gz{_trained} --limit 100 --output {_study}",
        f"r2ag study {_study} --data test.jsonl.gz{_trained} --limit 100 --output {_study} --dry-run",
        group=studies,
    )
app.add_typer(studies, name="study")
_command(
    "convert",
    convert,
    "r2ag data convert hotpot_dev_distractor_v1.json --output hotpotqa.jsonl.gz",
    "r2ag data convert hotpotqa/hotpot_qa --subset distractor --split validation --output hotpotqa.jsonl.gz",
    "r2ag data convert beir/hotpotqa --documents 20 --output open-hotpotqa.jsonl.gz",
    group=data_group,
)
_command(
    "stats",
    stats,
    "r2ag data stats nq.jsonl.gz hotpotqa.jsonl.gz",
    "r2ag data stats nq.jsonl.gz --retriever sentence-transformers/all-MiniLM-L6-v2 --json",
    group=data_group,
)
_command(
    "mine",
    mine,
    "r2ag data mine questions.jsonl --pool notes/ --output training.jsonl.gz",
    "r2ag data mine nq.jsonl.gz --pool corpus.jsonl.gz --count 9 --output nq-10.jsonl.gz",
    group=data_group,
)
_command(
    "make",
    make,
    "r2ag data make --docs notes/ --output notes.jsonl.gz",
    "r2ag data make --docs notes/ --output notes.jsonl.gz --endpoint http://localhost:11434/v1 --llm qwen3:8b",
    group=data_group,
)
_command(
    "from-logs",
    from_logs,
    "r2ag data from-logs questions.jsonl --docs notes/ --output training.jsonl.gz",
    "r2ag data from-logs questions.jsonl --store my-store --output training.jsonl.gz",
    group=data_group,
)
app.add_typer(data_group, name="data", help="Convert data sets, make records of your own, mine distractors, see sizes.")
_command("info", info, "r2ag info", "r2ag info --adapter my-adapter")


# Looking for garbage among the objects of torch and its kin, again and again while they are imported and once more at
# the end, takes a third of a short command's time.
SELDOM = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0 done, 1 failed, 2 unusable arguments or input, 130 stopped.

    Args:
        arguments: None takes the process's own, and then the process is taken to be this command's alone.
    """
    if arguments is None:
        gc.set_threshold(SELDOM)
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
        _say("Stopped.")
    return int(status)


def _report(error: Exception) -> int:
    if os.environ.get("R2AG_TRACEBACK") == "1":
        traceback.print_exception(error)
    if isinstance(error, InputError):
        _say(f"r2ag: {error}")
        return UNUSABLE
    if isinstance(error, _UsageError):
        _say(f"r2ag: {_usage(error)}")
        return UNUSABLE
    if isinstance(error, OSError) and error.filename is not None and error.errno in _NO_PLACE:
        _say(f"r2ag: {error.filename} can't be used ({error.strerror}); name another file or folder.")
        return UNUSABLE
    reason = next(iter(str(error).strip().splitlines()), "")
    described = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    _say(f"r2ag: The command failed ({described}); set R2AG_TRACEBACK=1 to see where.")
    return FAILED


def _usage(error: Exception) -> str:
    message = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).removesuffix(".")
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    if message == "Missing command" and context:
        message += f": {', '.join(context.command.commands)}"
    source = context.get_parameter_source(parameter.name) if context and parameter else None
    if parameter and source and source.name == "ENVIRONMENT":
        message = f"{message} (from {parameter.envvar})"
    return f"{message}; see {context.command_path if context else 'r2ag'} --help."


def _say(sentence: str) -> None:
    print(clean(sentence), file=sys.stderr)


def _stop_writing() -> int:
    """Whoever read our output has enough of it; the interpreter must not try to flush the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Our own warnings are for the user, in one line; those of libraries are for developers."""
    if _PACKAGE in Path(filename).parents or os.environ.get("R2AG_TRACEBACK") == "1":
        _say(f"r2ag: {message}")
