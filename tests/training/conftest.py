"""A tiny training run: forty records, a random LLM and a random encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r2ag.adapter.adapter import Adapter
from r2ag.method.former import FormerConfig
from r2ag.method.prompting import PromptTemplate
from r2ag.records.vectors import describe_records
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import DescribedRecord
from r2ag.training.run import Parts, train
from r2ag.types import Document, Record
from tests.tiny import HIDDEN, tiny_encoder, tiny_llm, tiny_tokenizer

TEMPLATE = PromptTemplate("Answer.\n", "[{number}]{slots} {document}\n", "{question}\n")
TEMPLATES = {
    "raft": replace(TEMPLATE, document="[{number}] {document}\n"),
    "xrag": replace(TEMPLATE, document="[{number}]{slots}\n"),
}
SIZES = FormerConfig(HIDDEN, hidden_size=16, heads=2, feed_forward_size=32, max_documents=8)
TINY = TrainingConfig(
    epochs=1.5,
    batch_size=4,
    most_documents=5,
    matching_epochs=2,
    max_prompt_tokens=300,
    held_back=0.4,
    without_relevant=0.2,
    feature_dropout=0.1,
    evaluations=4,
)
RUNS: dict[str, dict[str, Any]] = {
    "r2ag": {},
    "r2ag, frozen relevance": {"freeze_relevance": True},
    "r2ag with lora": {"lora": True, "lora_rank": 4, "gradient_checkpointing": True},
    "learned-tokens": {"method": "learned-tokens"},
    "xrag": {"method": "xrag"},
    "raft": {"method": "raft", "lora_rank": 4},
}


def record(number: int, documents: int = 4) -> Record:
    """A question that its first document answers, among those on other bridges."""
    return Record(
        id=str(number),
        question=f"When was the bridge number {number} built?",
        answers=(str(1400 + number), f"in {1400 + number}"),
        documents=tuple(
            Document(f"The bridge number {n} was built in {1400 + n}.", f"Bridge {n}", relevant=n == number)
            for n in range(number, number + documents)
        ),
        dataset="bridges",
    )


RECORDS = [record(number) for number in range(40)]


def described(records: Sequence[Record]) -> list[DescribedRecord]:
    """Records with the tiny encoder's vectors."""
    lists = describe_records(tiny_encoder(), records)
    return [DescribedRecord(one, ranked) for one, ranked in zip(records, lists, strict=True)]


def parts() -> Parts:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    return Parts(tiny_llm(vocabulary=len(tokenizer)), tokenizer, tiny_encoder(), "tiny-llm")


def tiny_run(
    output: Path, models: Parts | None = None, resume: bool = False, start: Adapter | None = None, **changes: Any
) -> Adapter:
    """Trains on forty records; `changes` are TrainingConfig's."""
    config = replace(TINY, **changes)
    template = TEMPLATES.get(config.method, TEMPLATE)
    sizes = sizes_of(config.method)
    return train(RECORDS, models or parts(), template, output, config, sizes, resume=resume, start=start)


def sizes_of(method: str) -> FormerConfig:
    return replace(SIZES, features=("vector",), vector_size=HIDDEN) if method == "xrag" else SIZES


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Adapter]:
    """The outcome of each of RUNS, trained once and uninterrupted."""
    done: dict[str, Adapter] = {}

    def run(name: str) -> Adapter:
        if name not in done:
            done[name] = tiny_run(tmp_path_factory.mktemp("run") / "adapter", **RUNS[name])
        return done[name]

    return run
