"""`r2ag data convert`: a published data set as records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.data import records as shared
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.records.formats import Conversion


def convert(
    source: Annotated[str, Argument(metavar="INPUT", show_default=False)],
    output: shared.OutputFile,
    form: shared.Format = None,
    subset: shared.Subset = None,
    split: shared.Split = None,
    retriever: Annotated[str, Option(metavar="MODEL")] = DEFAULT_RETRIEVER,
    documents: Annotated[int, Option(min=1)] = 20,
    seed: options.Seed = 0,
) -> None:
    """Write a published data set as records that the other commands read.

    It reads the NQ of "Lost in the Middle", HotpotQA, 2WikiMultiHopQA, MuSiQue, DuReader, LongBench's DuReader,
    FlashRAG's sets, BEIR's folders, and r2ag's own records. Where the order of documents gives away which one is
    relevant, they are reordered by a hash of their text.

    Entries without an answer or without documents are left out, and counted.

    Args:
        source: A file, a folder in BEIR's format, or a name on the Hugging Face hub.
        retriever: BEIR: what finds each question's documents in the corpus.
        documents: BEIR: how many it finds.

    Examples:
        r2ag data convert hotpot_dev_distractor_v1.json --output hotpotqa.jsonl.gz
        r2ag data convert hotpotqa/hotpot_qa --subset distractor --split validation --output hotpotqa.jsonl.gz
        r2ag data convert beir/hotpotqa --documents 20 --output open-hotpotqa.jsonl.gz
    """
    shared.check_output_file(output)
    with libraries_to_stderr() as stdout:
        note(f"Reading {source} …")
        if shared.is_beir_input(source, form):
            conversion = _search(Path(source), split or "test", retriever, documents, seed)
        else:
            from r2ag.records.formats import read_data_set

            conversion = read_data_set(source, form, seed, subset, split or "train")
        shared.write(conversion.records, output)
        print_facts(
            stdout,
            ("format", conversion.format),
            *shared.facts(conversion.records),
            ("left out", f"{conversion.left_out} without an answer or without documents"),
            ("written", output),
        )


def _search(folder: Path, split: str, retriever: str, count: int, seed: int) -> Conversion:
    """A BEIR set's questions with the documents that the retriever finds in its corpus."""
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.formats import Conversion
    from r2ag.records.formats.beir import read_beir

    searched = read_beir(folder, split)
    if not any(question.answers for question in searched.questions):
        raise InputError(
            f"{folder}: its questions have no answers, so they can't become records; r2ag data stats measures a "
            "retriever on them."
        )
    note("Searching the corpus …")
    encoder = FeatureEncoder.from_pretrained(retriever)
    records = searched.records(searched.search(encoder, count), seed)
    return Conversion("beir", records, len(searched.questions) - len(records))
