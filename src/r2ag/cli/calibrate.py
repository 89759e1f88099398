"""`r2ag calibrate`: an adapter's probabilities fitted to one's own records."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import check_output
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.method.calibration import Calibration
    from r2ag.types import Record


def calibrate(
    data: Annotated[Path, Option(metavar="FILE", show_default=False)],
    adapter: options.GivenAdapter,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    seed: options.Seed = 0,
) -> None:
    """Fit an adapter's probabilities, and the threshold for abstaining, to your own records.

    One half of the records, drawn by the seed, fits the probabilities; the other half chooses the threshold. Nothing
    else of the adapter changes, and no LLM is loaded.

    Args:
        data: Records (JSON lines) like your questions.
        output: Where the calibrated adapter is written.

    Examples:
        r2ag calibrate --data ours.jsonl --adapter my-adapter --output our-adapter
    """
    from r2ag.records import read_records

    folder = check_output(output, "model.safetensors")
    records = list(read_records(data))
    random.Random(seed).shuffle(records)
    halves = records[: len(records) // 2], records[len(records) // 2 :]
    for half in halves:
        if {bool(document.relevant) for record in half for document in record.documents} != {True, False}:
            raise InputError(
                f"{data}: each half of the records needs documents that are relevant and documents that are not; "
                "give more records."
            )
    with libraries_to_stderr() as stdout:
        note("Loading the adapter and its encoder …")
        from r2ag.adapter.adapter import Adapter

        loaded = Adapter.from_pretrained(adapter)
        if loaded.config.method != "r2ag":
            raise InputError(f"The adapter {adapter} ({loaded.config.method}) has no relevance to calibrate.")
        fitted = _fit(loaded, halves, f"{sum(map(len, halves))} records of {data.name}")
        loaded.with_calibration(fitted).save_pretrained(folder)
        before, after = in_words(loaded.config.calibration), in_words(fitted)
        print_facts(stdout, ("before", before), ("after", after), ("written", folder))


def in_words(calibration: Calibration) -> str:
    """One line on a calibration."""
    return (
        f"p = sigmoid({calibration.slope:.3f} · logit {calibration.intercept:+.3f}), "
        f"threshold {calibration.threshold:.3f}, for pruning {calibration.prune_threshold:.3f}, "
        f"fitted on {calibration.fitted_on}"
    )


def _fit(adapter: Adapter, halves: Sequence[Sequence[Record]], fitted_on: str) -> Calibration:
    from r2ag.adapter.loading import load_encoder
    from r2ag.records.vectors import describe_records
    from r2ag.training.calibrate import calibrate as fit
    from r2ag.training.lists import DescribedRecord

    encoder = load_encoder(adapter)
    first, second = (
        [DescribedRecord(*pair) for pair in zip(half, describe_records(encoder, half, progress=True), strict=True)]
        for half in halves
    )
    return fit(adapter, first, second, fitted_on)
