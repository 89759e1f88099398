"""Data sets in the forms in which people download them, as records.

A form is known by the fields of the first entry, or by its name. BEIR's folders, which hold a corpus and no lists of
candidates, are in `beir`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from r2ag.errors import InputError
from r2ag.records.formats.lists import FORMATS
from r2ag.records.formats.rows import Format, Row, hub_rows, is_hub_name, read_rows
from r2ag.types import Record


@dataclass(frozen=True)
class Conversion:
    """Records that came of a data set, and how many of its entries had no answer or no documents to make one of."""

    format: str
    records: list[Record]
    left_out: int


def read_data_set(
    source: str | Path, name: str | None = None, seed: int = 0, subset: str | None = None, split: str = "train"
) -> Conversion:
    """The records of a file in any known form, or of a data set on the Hugging Face hub.

    Args:
        source: a file, or owner/name on the hub where there is no such file.
        name: the form; None looks at the first entry.
        seed: decides the order of documents whose own order would tell which one is relevant.
        subset, split: of a data set on the hub.

    Raises:
        InputError: names the file and the line, entry or row that can't be used.
    """
    file = Path(source)
    if is_hub_name(str(source)) and not file.exists():
        return convert(hub_rows(str(source), subset, split), str(source), name, seed)
    return convert(read_rows(file), str(file), name, seed)


def convert(rows: Iterable[Row], source: str, name: str | None = None, seed: int = 0) -> Conversion:
    """Rows of one form as records; `source` says in messages where they come from, and names the data set.

    Raises:
        InputError: there is no such form, or nothing in the rows can be used.
    """
    remaining = iter(rows)
    first = next(remaining, None)
    if first is None:
        raise InputError(f"{source} holds no records; give a file that does.")
    forms = {form.name: form for form in FORMATS}
    if name is not None and name not in forms:
        raise InputError(f"There is no form {name!r}; choose one of {', '.join(forms)}.")
    form = detect(first) if name is None else forms[name]
    dataset = Path(source).name.split(".")[0]
    records, left_out = [], 0
    for row in chain([first], remaining):
        record = replace(form.record(row, seed), dataset=dataset)
        if record.answers and record.documents:
            records.append(record)
        else:
            left_out += 1
    if not records:
        raise InputError(f"{source}: none of its {left_out} entries has both an answer and documents.")
    return Conversion(form.name, records, left_out)


def detect(row: Row) -> Format:
    """The form of an entry.

    Raises:
        InputError: its fields are those of no known form.
    """
    fitting = next((form for form in FORMATS if form.fits(row)), None)
    if fitting is None:
        fields = ", ".join(list(row.fields)[:8]) or "none"
        raise InputError(f"{row.where}: its fields ({fields}) are those of no known form; name one with --format.")
    return fitting
