"""A folder with what the documentation takes for granted, where commands find tiny models."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from fpdf import FPDF

from tests.cli.conftest import TOPICS, Tiny, record, tiny
from tests.records.formats.samples import HOTPOTQA

__all__ = ["tiny"]

ADAPTER = ("ASK", "INDEX", "SERVE", "MCP", "EVAL", "REPORT")
LLM = ("TRAIN", "DATA_MAKE", "DATA_STATS")
RETRIEVER = ("TRAIN", "TRAIN_ENCODER", "DATA_CONVERT", "DATA_MAKE", "DATA_MINE", "DATA_FROM_LOGS")
SMALL = {
    "R2AG_ASK_MAX_NEW_TOKENS": 2,
    "R2AG_CHOOSE_FAMILIES": "question-last,few-shot-plain",
    "R2AG_CHOOSE_MAX_NEW_TOKENS": 1,
    "R2AG_EVAL_LIMIT": 2,
    "R2AG_EVAL_MAX_NEW_TOKENS": 2,
    "R2AG_TRAIN_EPOCHS": 0.2,
    "R2AG_TRAIN_MATCHING_EPOCHS": 1,
    "R2AG_TRAIN_MAX_PROMPT_TOKENS": 900,
    "R2AG_TRAIN_ENCODER_EPOCHS": 0.2,
}


@pytest.fixture
def workplace(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a page's commands: notes, records, logs; options not given there name tiny models."""
    shutil.copytree(tiny.documents, tmp_path / "notes")
    for name in ("old.md", "rain.md"):
        (tmp_path / "notes" / name).write_text("It rains.\n", encoding="utf-8")
    (tmp_path / "minutes").mkdir()
    page = FPDF()
    page.add_page()
    page.set_font("helvetica")
    page.cell(text="The first bridge was built by masons.")
    page.output(str(tmp_path / "minutes" / "may.pdf"))
    records = [record(index) for index in range(60)]
    for name in ("records.jsonl.gz", "test.jsonl.gz", "ours.jsonl", "questions.jsonl"):
        _write_lines(tmp_path / name, records)
    log = [{"question": f"When was the {t} built?", "answer": "1471", "source": f"{t}.md"} for t in TOPICS]
    _write_lines(tmp_path / "log.jsonl", log)
    (tmp_path / "hotpot_dev_distractor_v1.json").write_text(json.dumps([HOTPOTQA]), encoding="utf-8")
    for kind, model in (("ADAPTER", tiny.adapter), ("LLM", tiny.llm), ("RETRIEVER", tiny.encoder)):
        for command in {"ADAPTER": ADAPTER, "LLM": LLM, "RETRIEVER": RETRIEVER}[kind]:
            monkeypatch.setenv(f"R2AG_{command}_{kind}", str(model))
    for name, value in SMALL.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write_lines(file: Path, entries: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    file.write_bytes(gzip.compress(text) if file.suffix == ".gz" else text)
