"""Options that the commands on data share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from r2ag.cli.folders import check_place
from r2ag.errors import InputError


class DataFormat(StrEnum):
    """Published forms, as r2ag.records.formats names them."""

    r2ag = "r2ag"
    lost_in_the_middle = "lost-in-the-middle"
    two_wiki = "2wikimultihopqa"
    hotpotqa = "hotpotqa"
    musique = "musique"
    dureader = "dureader"
    longbench_dureader = "longbench-dureader"
    flashrag = "flashrag"
    beir = "beir"


FormatOption = Annotated[
    DataFormat | None,
    typer.Option("--format", help="The form of the input.", show_default="told by its content"),
]
Subset = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of a data set on the Hugging Face hub.", show_default="its only one")
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Of a data set on the hub, or of BEIR's qrels.", show_default="train; BEIR: test"
    ),
]
OutputFile = Annotated[
    Path, typer.Option("--output", metavar="FILE", help="Records: .jsonl, or .jsonl.gz.", show_default=False)
]
Distractors = Annotated[int, typer.Option("--count", min=1, help="Distractors a question.")]
DistractorFinder = Annotated[
    str, typer.Option("--retriever", metavar="MODEL", help="What finds the distractors: a folder or a hub name.")
]


def check_output_file(output: Path) -> None:
    """Raises InputError where no file can be written there."""
    if output.is_dir():
        raise InputError(f"{output} is a folder; name a file for --output.")
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"{output}: records are JSON lines; give --output a name that ends in .jsonl or .jsonl.gz.")
    check_place(output.absolute().parent, "--output")


def is_beir_input(source: str, form: DataFormat | None) -> bool:
    """Whether the input is one of BEIR's folders.

    Raises:
        InputError: it is a folder of another kind, or is said to be BEIR's and is not.
    """
    from r2ag.records.formats.beir import is_beir

    folder = Path(source)
    if is_beir(folder) and form in (None, DataFormat.beir):
        return True
    if form == DataFormat.beir or folder.is_dir():
        raise InputError(
            f"{source} is no folder of BEIR's, with corpus.jsonl and queries.jsonl; name a file or such a one."
        )
    return False
