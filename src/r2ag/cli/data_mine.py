"""`r2ag data mine`: training records out of questions with their passages, and a pool of other passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.data_convert import facts, write
from r2ag.cli.data_options import Distractors, FormatOption, OutputFile, check_output_file
from r2ag.cli.options import MorePaths, Seed
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.types import Document, Record


def mine(
    source: Annotated[
        str,
        typer.Argument(
            metavar="QUESTIONS",
            help="Questions with answers and the passages that answer them, in any form that data convert reads.",
            show_default=False,
        ),
    ],
    output: OutputFile,
    pool: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH…",
            help="Passages as JSON lines, text or Markdown; more may follow.",
            show_default="those of all questions",
        ),
    ] = None,
    more: MorePaths = None,
    count: Distractors = 19,
    form: FormatOption = None,
    retriever: Annotated[
        str, typer.Option(metavar="MODEL", help="What says which passages are near: a folder or a hub name.")
    ] = DEFAULT_RETRIEVER,
    seed: Seed = 0,
) -> None:
    """Give each question the passages that are nearest to it and hold none of its answers.

    A question keeps its relevant passages and loses its others. Documents come in an order that a hash of their text
    decides. Questions without a relevant passage are left out, and counted.
    """
    from r2ag.records.formats import read_data_set
    from r2ag.records.formats.order import by_hash
    from r2ag.records.mine import mine_distractors

    check_output_file(output)
    if more and not pool:
        raise InputError(f"{more[0]} stands behind QUESTIONS; name passages with --pool.")
    with libraries_to_stderr() as stdout:
        note(f"Reading {source} …")
        records = read_data_set(source, form and form.value, seed).records
        asked = [record for record in records if any(document.relevant for document in record.documents)]
        if not asked:
            raise InputError(f"{source}: none of its {len(records)} questions has a relevant passage; mark them.")
        from r2ag.encoder.encoder import FeatureEncoder

        encoder = FeatureEncoder.from_pretrained(retriever)
        passages = _pool([*(pool or []), *(more or [])], records, encoder)
        note(f"Mining {len(passages)} passages for {len(asked)} questions …")
        mined = mine_distractors(asked, passages, encoder, count)
        mined = [replace(record, documents=by_hash(record.documents, seed)) for record in mined]
        write(mined, output)
        print_facts(
            [
                *facts(mined),
                ("left out", f"{len(records) - len(asked)} without a relevant passage"),
                ("distractors", f"{sum(_distractors(record) < count for record in mined)} with less than {count}"),
                ("written", output),
            ],
            stdout,
        )


def _pool(paths: Sequence[Path], records: Sequence[Record], encoder: FeatureEncoder) -> list[Document]:
    from r2ag.records.pool import read_pool

    return read_pool(paths, encoder) if paths else [document for record in records for document in record.documents]


def _distractors(record: Record) -> int:
    return sum(not document.relevant for document in record.documents)
