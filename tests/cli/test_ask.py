from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from r2ag.adapter.loading import PRETRAINED
from r2ag.samples import documents_folder
from r2ag.types import NOTHING_FOUND
from tests.cli.conftest import Command, Tiny
from tests.corpus.conftest import pdf

needs_shipped_adapter = pytest.mark.skipif(not PRETRAINED.is_dir(), reason="the shipped adapter is not there yet")

FIELDS = ["question", "answer", "abstained", "citations", "documents", "timings_ms", "usage", "models"]
FIELDS += ["finish_reason", "shortened"]
DOCUMENT_FIELDS = ["rank", "source", "section", "place", "title", "text", "features", "relevance_probability", "used"]


def check_contract(answer: dict[str, Any], k: int) -> None:
    """Exactly the documented object, every value of its kind."""
    assert [name for name in answer if name != "plain_answer"] == FIELDS
    assert isinstance(answer["answer"], str)
    assert isinstance(answer["abstained"], bool)
    assert len(answer["documents"]) == k
    for rank, document in enumerate(answer["documents"], start=1):
        assert list(document) == DOCUMENT_FIELDS
        assert document["rank"] == rank
        assert Path(document["source"]).is_file()
        assert list(document["features"]) == ["relevance", "precedent", "neighbour"]
        assert all(isinstance(value, float) for value in document["features"].values())
        assert 0 <= document["relevance_probability"] <= 1
        assert isinstance(document["used"], bool)
    assert set(answer["citations"]) <= {document["rank"] for document in answer["documents"] if document["used"]}
    parts = ["retrieve", "features", "former", "prefill", "decode", "total"]
    assert list(answer["timings_ms"]) == parts
    assert sum(answer["timings_ms"][part] for part in parts[:-1]) == pytest.approx(answer["timings_ms"]["total"])
    assert list(answer["usage"]) == ["prompt_tokens", "completion_tokens"]
    assert list(answer["models"]) == ["llm", "retriever", "adapter"]


def test_json_is_one_object_alone_on_stdout(r2ag: Command, tiny: Tiny) -> None:
    outcome = r2ag(*tiny.ask("--json", "--k", "3", "--max-new-tokens", "4"))
    assert outcome.status == 0
    answer = json.loads(outcome.out)
    check_contract(answer, k=3)
    assert answer["question"] == "Which bridge?"
    assert answer["usage"]["completion_tokens"] <= 4
    assert "Loading" in outcome.err


def test_compare_adds_plain_rag(r2ag: Command, tiny: Tiny) -> None:
    answer = json.loads(r2ag(*tiny.ask("--json", "--compare", "--k", "3", "--max-new-tokens", "4")).out)
    check_contract(answer, k=3)
    assert isinstance(answer["plain_answer"], str)


def test_the_answer_comes_first_and_the_table_shows_each_document(r2ag: Command, tiny: Tiny) -> None:
    arguments = tiny.ask("--k", "3", "--max-new-tokens", "4")
    answer = json.loads(r2ag(*arguments, "--json").out)
    lines = r2ag(*arguments).out.splitlines()
    # A random LLM writes control characters too; a terminal must not get them.
    assert "".join(filter(str.isprintable, answer["answer"].split()[0])) in lines[0]
    for document in answer["documents"]:
        assert any(document["title"] in line and Path(document["source"]).name in line for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_compare_labels_both_answers(r2ag: Command, tiny: Tiny) -> None:
    outcome = r2ag(*tiny.ask("--compare", "--k", "2", "--max-new-tokens", "4"))
    assert outcome.out.startswith("R²AG:      ")
    assert "\nplain RAG: " in outcome.out


def test_abstaining_says_so_in_words_and_in_json(r2ag: Command, tiny: Tiny, doubtful: Path) -> None:
    arguments = [*tiny.ask()[:-1], str(doubtful), "--k", "2", "--max-new-tokens", "4"]
    said = r2ag(*arguments)
    assert said.status == 0
    assert said.out.startswith(NOTHING_FOUND)
    answer = json.loads(r2ag(*arguments, "--json").out)
    check_contract(answer, k=2)
    assert (answer["abstained"], answer["answer"], answer["citations"]) == (True, "", [])
    assert json.loads(r2ag(*arguments, "--json", "--no-abstain").out)["answer"]


def test_the_threshold_can_be_set(r2ag: Command, tiny: Tiny, doubtful: Path) -> None:
    arguments = [*tiny.ask()[:-1], str(doubtful), "--k", "3", "--max-new-tokens", "4", "--json"]
    assert json.loads(r2ag(*arguments).out)["abstained"]
    assert not json.loads(r2ag(*arguments, "--threshold", "0").out)["abstained"]
    assert json.loads(r2ag(*tiny.ask("--json", "--threshold", "1")).out)["abstained"]
    refused = r2ag(*tiny.ask("--threshold", "1.5"))
    assert (refused.status, refused.out) == (2, "")
    assert "--threshold" in refused.err


def test_pruning_reads_less(r2ag: Command, tiny: Tiny, doubtful: Path) -> None:
    arguments = [*tiny.ask()[:-1], str(doubtful), "--k", "3", "--json", "--no-abstain", "--prune"]
    answer = json.loads(r2ag(*arguments, "--max-new-tokens", "4").out)
    assert sum(document["used"] for document in answer["documents"]) == 1


def test_paths_may_follow_the_first_one_or_the_option_be_repeated(r2ag: Command, tiny: Tiny) -> None:
    first, second, third = sorted(tiny.documents.iterdir())[:3]
    common = ["--adapter", tiny.adapter, "--json", "--max-new-tokens", 1]
    followed = json.loads(r2ag("ask", "Which bridge?", "--docs", first, second, third, *common).out)
    repeated = json.loads(r2ag("ask", "Which bridge?", "--docs", first, "--docs", second, "--docs", third, *common).out)
    assert followed["documents"] == repeated["documents"]
    assert {document["source"] for document in followed["documents"]} == {str(first), str(second), str(third)}


def test_pages_are_given_and_what_is_skipped_is_told(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "bridges.pdf").write_bytes(pdf(["The bridge was built in 1471."]))
    for number in range(7):
        (tmp_path / f"torn{number}.docx").write_bytes(b"PK")
    common = ["ask", "Which bridge?", "--docs", tmp_path, "--adapter", tiny.adapter, "--max-new-tokens", 4]
    outcome = r2ag(*common, "--json")
    document = json.loads(outcome.out)["documents"][0]
    assert (document["text"], document["place"]) == ("The bridge was built in 1471.", "page 1")
    told = [line for line in outcome.err.splitlines() if line.startswith("Skipped ")]
    assert len(told) == 5
    assert "torn0.docx: it is broken" in told[0]
    assert "with 2 more" in outcome.err


@pytest.mark.parametrize(
    "text",
    [
        "an <R> and <unk> and <|im_end|>",
        "NUL \0 bytes",
        "שלום עולם",
        "蜜蜂用舞蹈告诉同伴",
        "\x1b[2J\x1b]0;title\x07",
        "[bold]",
    ],
)
def test_odd_text_in_documents_and_question(r2ag: Command, tiny: Tiny, tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd.txt"
    file.write_text("x" * 5000 + f" about {text}", encoding="utf-8")
    common = ["--docs", file, "--adapter", tiny.adapter, "--max-new-tokens", 4, "--no-abstain"]
    answer = json.loads(r2ag("ask", f"What of {text}?", *common, "--json").out)
    assert answer["question"] == f"What of {text}?"
    shown = r2ag("ask", f"What of {text}?", *common)
    assert shown.status == 0
    assert not set("\x1b\x07\0") & set(shown.out)


def test_a_question_of_bytes_that_are_no_text(r2ag: Command, tiny: Tiny) -> None:
    outcome = r2ag("ask", "Which \udcff bridge?", *tiny.ask("--json", "--max-new-tokens", "2")[2:])
    assert json.loads(outcome.out)["question"] == "Which \udcff bridge?"


def test_a_system_prompt_is_read(r2ag: Command, tiny: Tiny) -> None:
    arguments = tiny.ask("--json", "--k", "1", "--max-new-tokens", "1", "--no-abstain")
    without = json.loads(r2ag(*arguments).out)["usage"]["prompt_tokens"]
    assert json.loads(r2ag(*arguments, "--system", "Be brief.").out)["usage"]["prompt_tokens"] > without


@pytest.fixture
def doubtful(tiny: Tiny, tmp_path: Path) -> Path:
    """The tiny adapter with a threshold that nothing passes."""
    from r2ag.adapter.adapter import Adapter
    from r2ag.method.calibration import Calibration

    adapter = Adapter.from_pretrained(tiny.adapter)
    adapter.with_calibration(Calibration(threshold=1.0, prune_threshold=1.0)).save_pretrained(tmp_path / "doubtful")
    return tmp_path / "doubtful"


@needs_shipped_adapter
@pytest.mark.model
def test_the_samples_are_answered(r2ag: Command) -> None:
    question = "Who made the first italic letters for Aldus Manutius?"
    outcome = r2ag("ask", question, "--docs", documents_folder(), "--compare", "--json")
    assert outcome.status == 0, outcome.err
    answer = json.loads(outcome.out)
    check_contract(answer, k=5)
    assert not answer["abstained"]
    assert answer["answer"]
    assert answer["plain_answer"]
    assert answer["models"]["llm"] == "HuggingFaceTB/SmolLM2-135M-Instruct"


@needs_shipped_adapter
@pytest.mark.model
def test_the_samples_are_answered_in_words(r2ag: Command) -> None:
    question = "Who made the first italic letters for Aldus Manutius?"
    outcome = r2ag("ask", question, "--docs", documents_folder(), "--k", "3", "--no-abstain")
    assert outcome.status == 0, outcome.err
    assert "printing-italic.md" in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.splitlines()[-4:])
