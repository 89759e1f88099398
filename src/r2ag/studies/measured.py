"""What a study measures of lists beside answers, kept line by line where it takes long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.evaluation.methods.bench import adapter_settings, llm_fingerprint
from r2ag.evaluation.stored import digest_of
from r2ag.io.atomic import write_whole
from r2ag.studies.base import Condition, Measure
from r2ag.types import Progress, RankedList, Record

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline


def measure_all(
    condition: Condition,
    pipeline: Pipeline,
    records: Sequence[Record],
    lists: Sequence[RankedList],
    output: Path,
    progress: Progress,
) -> list[dict[str, Any]]:
    """What the condition's Measure says of each list; also in measured-CONDITION.jsonl, from where a run goes on."""
    measure = condition.measure
    assert measure is not None
    file = output / f"measured-{condition.file}.jsonl"
    settings = _settings(measure, pipeline)
    digests = [
        digest_of({**settings, "answers": record.answers}, ranked)
        for record, ranked in zip(records, lists, strict=True)
    ]
    known = _known(file) if measure.resumes else {}
    row = measure.start(pipeline, records, lists)
    lines: list[dict[str, Any]] = []
    output.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as kept:
        for place, (record, digest) in enumerate(zip(records, digests, strict=True)):
            said = known[digest] if digest in known else row(place)
            if said is not None:
                line = {"digest": digest, "id": record.id, "dataset": record.dataset} | said
                lines.append(line)
                if measure.resumes and digest not in known:
                    kept.write(json.dumps(line) + "\n")
                    kept.flush()
            progress(measure.name, place + 1, len(records))
    write_whole(file, "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def _settings(measure: Measure, pipeline: Pipeline) -> dict[str, Any]:
    llm = pipeline.reader.model.llm
    model = {"llm": llm_fingerprint(llm), "dtype": str(llm.dtype), "encoder": pipeline.encoder.fingerprint}
    return {"measure": measure.name} | model | adapter_settings(pipeline.reader.adapter)


def _known(file: Path) -> dict[str, dict[str, Any]]:
    """Whole lines by digest; a killed run may have left half of one."""
    if not file.is_file():
        return {}
    known = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            fields = json.loads(line)
            known[fields["digest"]] = fields
        except (ValueError, KeyError, TypeError):
            continue
    return known
