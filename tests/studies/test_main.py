from __future__ import annotations

from pathlib import Path

from r2ag.adapter.loading import PRETRAINED
from r2ag.studies.base import Options, Plan
from r2ag.studies.main import plan


def trained_for(tmp_path: Path, *methods: str) -> Plan:
    train = ((tmp_path / "train.jsonl", 1.0),)
    return plan(Options((tmp_path / "test.jsonl",), tmp_path, ("tuned",), train=train, methods=methods))


def commands(plan: Plan) -> list[str]:
    return [step.folder.name for step in plan.steps]


def test_only_what_the_methods_need_is_trained(tmp_path: Path) -> None:
    made = trained_for(tmp_path, "rag", "r2ag", "raft")
    raft = tmp_path / "adapters" / "tuned-raft-seed0"
    assert commands(made) == ["encoder-seed0", "tuned-r2ag-seed0", "tuned-raft-seed0", "tuned-r2ag-chosen-seed0"]
    assert made.conditions[0].methods == ("rag", "r2ag", f"raft={raft}")


def test_weights_that_are_there_are_not_trained_again(tmp_path: Path) -> None:
    made = trained_for(tmp_path, "rag", "raft=mine", "learned-tokens:3")
    assert "tuned-raft-seed0" not in commands(made)
    tokens = tmp_path / "adapters" / "tuned-learned-tokens-seed0"
    assert made.conditions[0].methods == ("rag", "raft=mine", f"learned-tokens:3={tokens}")


def test_all_methods_with_weights_by_default(tmp_path: Path) -> None:
    made = trained_for(tmp_path)
    kinds = ["r2ag", "learned-tokens", "xrag", "raft", "r2ag+raft", "r2ag-chosen"]
    assert commands(made) == ["encoder-seed0", *(f"tuned-{kind}-seed0" for kind in kinds)]
    assert all("=" in method for method in made.conditions[0].methods if method.startswith(("xrag", "raft")))


def test_with_an_untuned_retriever_r2ag_reads_features_of_its_own_encoder(tmp_path: Path) -> None:
    asked = ("rag", "r2ag", "r2ag+prune", "r2ag-words", "recomp")
    made = plan(Options((tmp_path / "test.jsonl",), tmp_path, ("tuned", "untuned"), methods=asked))
    tuned, untuned = made.conditions
    assert tuned.methods == asked
    own = PRETRAINED
    assert untuned.methods == ("rag", f"r2ag={own}", f"r2ag+prune={own}", f"r2ag-words={own}", "recomp")
