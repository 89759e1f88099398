"""`r2ag data from-logs`: training records from questions whose good documents are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.data import records as shared
from r2ag.cli.opening import cut_into_passages, read_files
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.types import Document


def from_logs(
    log: Annotated[Path, Argument(metavar="LOG", show_default=False)],
    output: shared.OutputFile,
    docs: Annotated[list[Path] | None, Option(metavar="PATH…", show_default="none")] = None,
    more: options.MorePaths = None,
    store: Annotated[str | None, Option(metavar="STORE", show_default="none")] = None,
    retriever: shared.Retriever = DEFAULT_RETRIEVER,
    count: shared.Distractors = 19,
    seed: options.Seed = 0,
) -> None:
    """Write records to train on from a log of questions whose good documents are known.

    In a good file the passages that contain an answer are relevant; if none does, the passage nearest to the question
    is. A line may instead name a store's passages by their ids ("passages"). The nearest passages without an answer
    become distractors.

    Args:
        log: JSON lines: question, answers, sources (names of good files).
        docs: The files; more may follow.
        store: Or a store that holds them.

    Examples:
        r2ag data from-logs questions.jsonl --docs notes/ --output training.jsonl.gz
        r2ag data from-logs questions.jsonl --store my-store --output training.jsonl.gz
    """
    from r2ag.records.logs import label, read_log

    shared.check_output_file(output)
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
        passages = _passages([*(docs or []), *(more or [])], store, encoder)
        labelled = label(questions, passages, encoder)
        if not labelled.records:
            first = (*labelled.unknown[0].sources, *map(str, labelled.unknown[0].passages))[0]
            raise InputError(f"{log}: none of its good documents is there, such as {first}; check --docs or --store.")
        records = shared.with_distractors(labelled.records, list(passages.values()), encoder, count, seed)
        shared.write(records, output)
        print_facts(
            stdout,
            *shared.facts(records),
            ("nearest", f"{labelled.without_answer} where no good passage contains the answer"),
            ("left out", f"{len(labelled.unknown)} whose good documents are not there"),
            ("written", output),
        )


def _passages(files: Sequence[Path], store: str | None, encoder: FeatureEncoder) -> Mapping[int, Document]:
    """The passages by their ids in the store; those of files are numbered."""
    if store is None:
        return dict(enumerate(cut_into_passages(read_files(files), encoder)))
    from r2ag.store import open_store

    with open_store(store).snapshot() as snapshot:
        ids = snapshot.ids()
        return dict(zip(ids, snapshot.documents(ids), strict=True))
