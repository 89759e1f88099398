"""RAFT, and R²AG+RAFT: the LLM of a method that was trained answers for that method alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from r2ag.evaluation.methods import create_method, parse_methods
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.r2ag import R2AG
from r2ag.evaluation.methods.refined import LocalLLM, Refined
from tests.evaluation.conftest import Parts


@pytest.mark.parametrize(("name", "kind"), [("raft", "raft"), ("r2ag+raft", "r2ag")])
def test_a_lora_answers_alone(parts: Parts, saved: Callable[..., str], name: str, kind: str) -> None:
    before = {key: tensor.clone() for key, tensor in parts.llm.state_dict().items()}
    bench = Bench(parts.reader(), parts.encoder, max_new_tokens=4)
    method = create_method(parse_methods([f"{name}={saved(kind, lora=True)}"])[0], bench)
    assert method.answer([parts.ranked(3)])[0].documents_read == 3
    if isinstance(method, R2AG):
        reader = method.reader
    else:
        assert isinstance(method, Refined)
        assert isinstance(method.llm, LocalLLM)
        reader = method.llm.reader
    assert reader.builder.template.has_slots == (name == "r2ag+raft")
    own = reader.model.llm.state_dict()
    assert any(not torch.equal(own[key], tensor) for key, tensor in before.items())
    assert all(torch.equal(tensor, before[key]) for key, tensor in parts.llm.state_dict().items())


@pytest.mark.parametrize(
    ("spec", "kind", "reads"),
    [("raft:2", "raft", 2), ("raft:9", "raft", 3), ("r2ag+raft:0", "r2ag", 3), ("r2ag+raft:1", "r2ag", 1)],
)
def test_a_lora_may_answer_from_some_of_the_documents(
    parts: Parts, saved: Callable[..., str], spec: str, kind: str, reads: int
) -> None:
    bench = Bench(parts.reader(), parts.encoder, max_new_tokens=4)
    folder = saved(kind, lora=True)
    some, every = (
        create_method(parse_methods([f"{name}={folder}"])[0], bench) for name in (spec, spec.partition(":")[0])
    )
    (prediction,) = some.answer([parts.ranked(3)])
    assert prediction.documents_read == reads
    assert some.settings != every.settings
