"""`r2ag data make`: training records out of one's own documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.data_convert import facts, write
from r2ag.cli.data_options import DistractorFinder, Distractors, OutputFile, check_output_file
from r2ag.cli.options import MorePaths, Seed
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.cli.skipped import tell_skipped
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.corpus import Skipped
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.make import Made
    from r2ag.records.question_writer import QuestionWriter
    from r2ag.types import Document, Record


def make(
    docs: Annotated[
        list[Path],
        typer.Option(
            "--docs", metavar="PATH…", help="Files, folders or patterns; more may follow.", show_default=False
        ),
    ],
    output: OutputFile,
    more: MorePaths = None,
    llm: Annotated[
        str,
        typer.Option("--llm", metavar="MODEL", help="What writes: a folder or hub name, or the server's name of it."),
    ] = DEFAULT_LLM,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An OpenAI-compatible server that has the --llm, as in http://localhost:11434/v1; its key is taken "
            "from OPENAI_API_KEY.",
            show_default="this machine",
        ),
    ] = None,
    retriever: DistractorFinder = DEFAULT_RETRIEVER,
    count: Distractors = 19,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Ask N passages, drawn by the seed.", show_default="all")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Write questions and answers from your documents, as records to train and evaluate on.

    A question is kept where the LLM answers it from its passage and not without it; what else is near to it and
    doesn't hold the answer become its distractors.

    Interrupt it whenever you like: the same command goes on from there.
    """
    check_output_file(output)
    paths = [*docs, *(more or [])]
    with libraries_to_stderr() as stdout:
        from r2ag.encoder.encoder import FeatureEncoder

        note("Loading the models …")
        encoder = FeatureEncoder.from_pretrained(retriever)
        passages = read_passages(paths, encoder)
        made, records = _made(passages, _writer(llm, endpoint), output, limit, seed)
        if not records:
            _log(output).unlink(missing_ok=True)
            raise InputError(
                f"None of the {len(made)} questions from {paths[0]} passed the checks ({_reasons(made)}); take a "
                "larger --llm, or more documents."
            )
        finished = with_distractors(records, passages, encoder, count, seed)
        write(finished, output)
        _log(output).unlink(missing_ok=True)
        left_out = _reasons(made) or "nothing"
        print_facts([*facts(finished), ("left out", left_out), ("written", output)], stdout)


def read_passages(paths: Sequence[Path], encoder: FeatureEncoder) -> list[Document]:
    """The passages of all files that can be read, in the encoder's sizes; tells what can't."""
    from r2ag.corpus.chunking import chunk
    from r2ag.corpus.reading import read_sources

    skipped: list[Skipped] = []
    files = read_sources(paths, skipped.append)
    tell_skipped(skipped)
    return [passage for file in files for passage in chunk(file, encoder.count_tokens, encoder.passage_tokens)]


def with_distractors(
    records: Sequence[Record], passages: Sequence[Document], encoder: FeatureEncoder, count: int, seed: int
) -> list[Record]:
    """Records with the nearest passages that hold no answer, in an order that tells nothing."""
    from r2ag.records.formats.order import by_hash
    from r2ag.records.mine import mine_distractors

    note(f"Mining {len(passages)} passages for {len(records)} questions …")
    mined = mine_distractors(records, passages, encoder, count)
    return [replace(record, documents=by_hash(record.documents, seed)) for record in mined]


def _writer(llm: str, endpoint: str | None) -> QuestionWriter:
    from r2ag.records.question_writer import LocalWriter, RemoteWriter

    if endpoint is not None:
        from r2ag.engines.chat_api import ChatAPI

        return RemoteWriter(ChatAPI(endpoint, llm))
    from r2ag.models import load_llm

    return LocalWriter(*load_llm(llm), name=llm)


def _made(
    passages: Sequence[Document], writer: QuestionWriter, output: Path, limit: int | None, seed: int
) -> tuple[list[Made], list[Record]]:
    from r2ag.cli.progress import QuestionProgress
    from r2ag.records.make import QuestionMaker, as_records, make_questions
    from r2ag.records.mixture import sample

    asked = sample(passages, limit, seed)
    note(f"Asking {len(asked)} passages …")
    try:
        with QuestionProgress() as progress:
            made = make_questions(asked, QuestionMaker(writer), _log(output), progress)
    except OSError as error:
        raise InputError(f"{output} can't be written ({error.strerror}); name another file for --output.") from None
    except KeyboardInterrupt:
        note(f"The same command goes on from {_log(output)}.")
        raise
    return made, as_records(asked, made)


def _log(output: Path) -> Path:
    """What is done so far; it goes when the records stand."""
    return output.with_name(f".{output.name}.progress")


def _reasons(made: Sequence[Made]) -> str:
    counts = Counter(one.left_out for one in made if one.left_out)
    return ", ".join(f"{number} {reason}" for reason, number in counts.most_common())
