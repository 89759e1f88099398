"""`r2ag data convert`: a published data set as records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r2ag.cli.data_options import (
    DataFormat,
    FormatOption,
    OutputFile,
    Split,
    Subset,
    check_output_file,
    is_beir_input,
)
from r2ag.cli.options import Seed
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.records.formats import Conversion
    from r2ag.types import Record


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT", help="A file, a folder of BEIR's, or a name on the Hugging Face hub.", show_default=False
        ),
    ],
    output: OutputFile,
    form: FormatOption = None,
    subset: Subset = None,
    split: Split = None,
    retriever: Annotated[
        str, typer.Option(metavar="MODEL", help="BEIR: what finds each question's documents in the corpus.")
    ] = DEFAULT_RETRIEVER,
    documents: Annotated[int, typer.Option(min=1, help="BEIR: how many it finds.")] = 20,
    seed: Seed = 0,
) -> None:
    """Write a published data set as records that the other commands read.

    Known are the NQ of "Lost in the Middle", HotpotQA, 2WikiMultiHopQA, MuSiQue, DuReader, LongBench's DuReader,
    FlashRAG's sets, BEIR's folders, and r2ag's own records. Where the order of documents tells which one is relevant, a
    hash of their text orders them.

    Entries without an answer or without documents are left out, and counted.
    """
    check_output_file(output)
    with libraries_to_stderr() as stdout:
        note(f"Reading {source} …")
        if is_beir_input(source, form):
            conversion = _search(Path(source), split or "test", retriever, documents, seed)
        else:
            from r2ag.records.formats import read_data_set

            conversion = read_data_set(source, form and form.value, seed, subset, split or "train")
        write(conversion.records, output)
        print_facts(
            [
                ("form", conversion.format),
                *facts(conversion.records),
                ("left out", f"{conversion.left_out} without an answer or without documents"),
                ("written", output),
            ],
            stdout,
        )


def facts(records: Sequence[Record]) -> list[tuple[str, object]]:
    """Sizes of records."""
    relevant = sum(bool(document.relevant) for record in records for document in record.documents)
    return [
        ("records", len(records)),
        ("documents", f"{sum(len(record.documents) for record in records) / len(records):.1f} a record"),
        ("relevant", f"{relevant / len(records):.2f} a record"),
    ]


def write(records: Sequence[Record], output: Path) -> None:
    """Writes the records; a place that can't be written to is named."""
    from r2ag.records import write_records

    try:
        write_records(records, output)
    except OSError as error:
        raise InputError(f"{output} can't be written ({error.strerror}); name another file for --output.") from None


def _search(folder: Path, split: str, retriever: str, count: int, seed: int) -> Conversion:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.formats import Conversion
    from r2ag.records.formats.beir import read_beir

    searched = read_beir(folder, split)
    if not any(question.answers for question in searched.questions):
        raise InputError(
            f"{folder}: its questions have no answers, so that no records come of it; r2ag data stats measures a "
            "retriever on it."
        )
    note("Searching the corpus …")
    encoder = FeatureEncoder.from_pretrained(retriever)
    records = searched.records(searched.search(encoder, count), seed)
    return Conversion(DataFormat.beir.value, records, len(searched.questions) - len(records))
