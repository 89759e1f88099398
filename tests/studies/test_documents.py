from __future__ import annotations

from pathlib import Path

from r2ag.studies.base import Options, Plan
from r2ag.studies.documents import plan


def planned(tmp_path: Path, *methods: str, seeds: int = 1) -> Plan:
    train = ((tmp_path / "train.jsonl", 1.0),)
    options = Options((tmp_path / "test.jsonl",), tmp_path, ("1", "3"), train=train, methods=methods, seeds=seeds)
    return plan(options)


def test_each_seed_answers_with_the_tokens_trained_for_it(tmp_path: Path) -> None:
    made = planned(tmp_path, "r2ag", "learned-tokens", seeds=2)
    tokens = [tmp_path / "adapters" / f"learned-tokens-seed{seed}" for seed in (0, 1)]
    assert [condition.methods for condition in made.conditions] == [
        ("r2ag", f"learned-tokens={folder}") for folder in tokens for _ in ("1", "3")
    ]
    assert [step.folder.name for step in made.steps] == [
        f"{kind}-seed{seed}" for seed in (0, 1) for kind in ("r2ag", "learned-tokens")
    ]


def test_tokens_that_no_method_wants_are_not_trained(tmp_path: Path) -> None:
    assert [step.folder.name for step in planned(tmp_path, "r2ag", "learned-tokens=mine").steps] == ["r2ag-seed0"]
    assert len(planned(tmp_path).steps) == 2
