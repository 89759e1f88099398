"""`r2ag data from-logs`: training records out of questions whose good documents are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.data_convert import facts, write
from r2ag.cli.data_make import read_passages, with_distractors
from r2ag.cli.data_options import DistractorFinder, Distractors, OutputFile, check_output_file
from r2ag.cli.options import MorePaths, Seed
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.types import Document


def from_logs(
    log: Annotated[
        Path,
        typer.Argument(
            metavar="LOG", help="JSON lines: question, answers, sources (names of good files).", show_default=False
        ),
    ],
    output: OutputFile,
    docs: Annotated[
        list[Path] | None,
        typer.Option("--docs", metavar="PATH…", help="The files; more may follow.", show_default="none"),
    ] = None,
    more: MorePaths = None,
    store: Annotated[
        str | None, typer.Option("--store", metavar="STORE", help="Or a store that holds them.", show_default="none")
    ] = None,
    retriever: DistractorFinder = DEFAULT_RETRIEVER,
    count: Distractors = 19,
    seed: Seed = 0,
) -> None:
    """Write records to train on from a log of questions whose good documents are known.

    Of a good file the passages that hold an answer are relevant, or the one nearest to the question where none does. A
    line may name a store's passages by their ids instead ("passages"). The nearest passages without an answer become
    distractors.
    """
    from r2ag.records.logs import label, read_log

    check_output_file(output)
    if bool(docs) == (store is not None):
        raise InputError("Name the documents either with --docs or with --store.")
    if more and not docs:
        raise InputError(f"{more[0]} stands behind LOG; name files with --docs.")
    questions = read_log(log)
    if docs and (by_id := next((one for one in questions if one.passages), None)):
        raise InputError(f"{log}: the question {by_id.id!r} names passages by their ids, which only a --store has.")
    with libraries_to_stderr() as stdout:
        from r2ag.encoder.encoder import FeatureEncoder

        note("Loading the encoder …")
        encoder = FeatureEncoder.from_pretrained(retriever)
        passages = _of_store(store) if store is not None else _of_files([*(docs or []), *(more or [])], encoder)
        labelled = label(questions, passages, encoder)
        if not labelled.records:
            first = (*labelled.unknown[0].sources, *map(str, labelled.unknown[0].passages))[0]
            raise InputError(f"{log}: none of its good documents is there, such as {first}; check --docs or --store.")
        records = with_distractors(labelled.records, list(passages.values()), encoder, count, seed)
        write(records, output)
        print_facts(
            [
                *facts(records),
                ("nearest", f"{labelled.without_answer} where no good passage holds the answer"),
                ("left out", f"{len(labelled.unknown)} whose good documents are not there"),
                ("written", output),
            ],
            stdout,
        )


def _of_files(paths: list[Path], encoder: FeatureEncoder) -> Mapping[int, Document]:
    return dict(enumerate(read_passages(paths, encoder)))


def _of_store(location: str) -> Mapping[int, Document]:
    from r2ag.store import open_store

    with open_store(location).snapshot() as snapshot:
        ids = snapshot.ids()
        return dict(zip(ids, snapshot.documents(ids), strict=True))
