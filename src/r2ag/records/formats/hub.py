"""Data sets by their name on the Hugging Face hub, through the optional library datasets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec

from r2ag.errors import InputError
from r2ag.records.formats.row import Row

_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_FILE = re.compile(r".*\.(jsonl?|gz|tsv|csv|txt|parquet|zip)", re.IGNORECASE)


def is_hub_name(name: str) -> bool:
    """Whether this reads like owner/name and not like a file."""
    return _NAME.fullmatch(name) is not None and _FILE.fullmatch(name) is None


def hub_rows(name: str, subset: str | None = None, split: str = "train") -> Iterator[Row]:
    """The rows of one split.

    Raises:
        InputError: the library is missing, the hub can't be reached, or it has no such data set, subset or split.
    """
    if find_spec("datasets") is None:
        raise InputError(
            f"There is no file or folder {name}; to read a data set of that name from the Hugging Face hub, install "
            "datasets with: pip install 'r2ag[train]'"
        )
    from datasets import load_dataset

    try:
        rows = load_dataset(name, subset, split=split)
    except Exception as error:  # the library has many kinds, and those of its HTTP client besides
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        raise InputError(
            f"There is no file or folder {name}, and the Hugging Face hub gave no data set of that name ({reason}); "
            "check the name, --subset, --split and the network."
        ) from None
    for number, fields in enumerate(rows, 1):
        yield Row(fields, f"{name}, row {number} of {split}")
