"""What the commands on data share: options, and the records that they write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

from typer import Option

from r2ag.cli.checks import check_place, writing
from r2ag.cli.output import note, print_facts
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.types import Document, Record

DataFormat = Literal[
    "r2ag",
    "lost-in-the-middle",
    "2wikimultihopqa",
    "hotpotqa",
    "musique",
    "dureader",
    "longbench-dureader",
    "flashrag",
    "beir",
]
"""Published formats, as r2ag.records.formats names them."""
Format = Annotated[
    DataFormat | None, Option("--format", help="The format of the input.", show_default="detected from its content")
]
Subset = Annotated[
    str | None,
    Option(metavar="NAME", help="The subset of a data set on the Hugging Face hub.", show_default="its only one"),
]
Split = Annotated[
    str | None,
    Option(
        metavar="NAME", help="The split of a data set on the hub, or of BEIR's qrels.", show_default="train; BEIR: test"
    ),
]
OutputFile = Annotated[
    Path, Option("--output", metavar="FILE", help="Records: .jsonl, or .jsonl.gz.", show_default=False)
]
Distractors = Annotated[int, Option("--count", min=1, help="Distractors for each question.")]
Retriever = Annotated[
    str, Option("--retriever", metavar="MODEL", help="What finds the distractors: a folder or a hub name.")
]


def check_output_file(output: Path) -> None:
    """Raises InputError where no file of records can be written there."""
    if output.is_dir():
        raise InputError(f"{output} is a folder; name a file for --output.")
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"{output}: records are JSON lines; give --output a name that ends in .jsonl or .jsonl.gz.")
    check_place(output.absolute().parent, "--output")


def is_beir_input(source: str, form: DataFormat | None) -> bool:
    """Whether the input is a folder in BEIR's format.

    Raises:
        InputError: it is another folder, or --format says BEIR and it is not.
    """
    from r2ag.records.formats.beir import is_beir

    folder = Path(source)
    if is_beir(folder) and form in (None, "beir"):
        return True
    if form == "beir" or folder.is_dir():
        raise InputError(
            f"The folder {source} is not in BEIR's format, with corpus.jsonl and queries.jsonl; name a file or such a "
            "folder."
        )
    return False


def with_distractors(
    records: Sequence[Record], passages: Sequence[Document], encoder: FeatureEncoder, count: int, seed: int
) -> list[Record]:
    """Records with the nearest passages that contain no answer, ordered by a hash, which gives no hint."""
    from r2ag.records.mine import mine_distractors
    from r2ag.records.split import by_hash

    note(f"Mining {len(passages)} passages for {len(records)} questions …")
    mined = mine_distractors(records, passages, encoder, count)
    return [replace(record, documents=by_hash(record.documents, seed)) for record in mined]


def write(records: Sequence[Record], output: Path, stdout: TextIO, *left_out: tuple[str, object]) -> None:
    """Writes the records and says what they are; raises InputError where the file can't be written."""
    from r2ag.records import write_records

    with writing(output):
        write_records(records, output)
    relevant = sum(bool(document.relevant) for record in records for document in record.documents)
    print_facts(
        stdout,
        ("records", len(records)),
        ("documents", f"{sum(len(record.documents) for record in records) / len(records):.1f} a record"),
        ("relevant", f"{relevant / len(records):.2f} a record"),
        *left_out,
        ("written", output),
    )
