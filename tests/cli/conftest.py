"""A tiny adapter with its tiny LLM and encoder, in folders as a user has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from r2ag.cli import main
from tests.tiny import HIDDEN, tiny_encoder_folder, tiny_llm, tiny_tokenizer

TOPICS = ("bridge", "river", "mason", "town", "answer", "history")


@dataclass(frozen=True)
class Tiny:
    """Folders of models that belong together, documents, and a file of records."""

    llm: Path
    encoder: Path
    adapter: Path
    documents: Path
    records: Path

    def ask(self, *arguments: str) -> list[str]:
        """Arguments that ask the documents."""
        return ["ask", "Which bridge?", "--docs", str(self.documents), "--adapter", str(self.adapter), *arguments]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


class Command:
    """Runs a command in this process."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, *arguments: object) -> Outcome:
        self._captured.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *self._captured.readouterr())

    def refused(self, *arguments: object) -> str:
        """The one sentence with which a command refuses its arguments or input."""
        outcome = self(*arguments)
        assert (outcome.status, outcome.out) == (2, "")
        *notes, sentence = outcome.err.splitlines()
        assert all(note.endswith("…") for note in notes), outcome.err
        assert sentence.startswith("r2ag: ")
        return sentence


@pytest.fixture
def r2ag(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    from r2ag.adapter.adapter import Adapter
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.method.calibration import Calibration
    from r2ag.method.former import FormerConfig
    from r2ag.method.templates import DEFAULT_PLAIN, plain_template, with_slots
    from r2ag.models import load_llm

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = tiny_tokenizer("bytes", "chatml")
    random_llm = tiny_llm(vocabulary=len(tokenizer))
    random_llm.config.max_position_embeddings = 1024  # rotary positions: the weights know no limit
    random_llm.save_pretrained(folder / "llm")
    tokenizer.save_pretrained(folder / "llm")
    llm, loaded_tokenizer = load_llm(str(folder / "llm"))
    encoder = FeatureEncoder.from_pretrained(str(tiny_encoder_folder(folder / "encoder")))
    former = FormerConfig(HIDDEN, hidden_size=16, heads=2, feed_forward_size=32)
    template = replace(with_slots(plain_template(DEFAULT_PLAIN)), head="From these:\n", tail="\nQuestion: {question}")
    adapter = Adapter.create("r2ag", llm, loaded_tokenizer, encoder, former, template)
    adapter.with_calibration(Calibration(threshold=0.01)).save_pretrained(folder / "adapter")
    documents = folder / "documents"
    documents.mkdir()
    for topic in TOPICS:
        (documents / f"{topic}.md").write_text(f"# The {topic}\n\nThe {topic} was built in 1471.\n", encoding="utf-8")
    records = write_records(folder / "records.jsonl", [record(index) for index in range(60)])
    return Tiny(folder / "llm", folder / "encoder", folder / "adapter", documents, records)


def record(index: int) -> dict[str, object]:
    """A record whose question and answer are in its first document."""
    documents = [
        {"title": topic, "text": f"The {topic} number {index} fell in {1400 + index}.", "relevant": place == 0}
        for place, topic in enumerate(TOPICS[:4])
    ]
    return {
        "id": str(index),
        "question": f"When did the bridge number {index} fall?",
        "answers": [str(1400 + index)],
        "documents": documents,
    }


def write_records(file: Path, records: Sequence[object]) -> Path:
    """Writes JSON lines."""
    file.write_text("".join(json.dumps(fields) + "\n" for fields in records), encoding="utf-8")
    return file
