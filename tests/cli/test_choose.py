from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from r2ag.adapter.adapter import Adapter
from r2ag.cli.evaluation import held_back_records
from r2ag.records import read_records, split_records
from tests.cli.conftest import Tiny


def test_records_are_those_that_the_adapters_training_held_back(tiny: Tiny, tmp_path: Path) -> None:
    adapter = Adapter.from_pretrained(tiny.adapter)
    trained = {"settings": {"seed": 3, "held_back": 0.4}}
    Adapter(replace(adapter.config, training=trained), adapter.former, adapter.probes).save_pretrained(tmp_path / "new")
    split = split_records(read_records(tiny.records), 0.4, 3)
    chosen = held_back_records([tiny.records], str(tmp_path / "new"), None, 0)
    assert {record.id for record in chosen} == {record.id for record in split.stopping + split.threshold}
    assert len(held_back_records([tiny.records], str(tmp_path / "new"), 5, 0)) == 5
