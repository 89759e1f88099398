from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r2ag.errors import InputError
from r2ag.evaluation.methods import Prediction
from r2ag.evaluation.report import results
from r2ag.evaluation.run import arrange, evaluate, run_evaluation
from r2ag.evaluation.stored import PredictionFile, digest_of
from r2ag.evaluation.table import markdown
from r2ag.records import write_records
from r2ag.types import Document, RankedList, Record
from tests.evaluation.conftest import Parts


@dataclass(frozen=True)
class Echo:
    """Answers from a table; counts its batches."""

    name: str
    answers: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        self.batches.append(len(lists))
        return [Prediction(self.answers[ranked.question], 10, 2, 0.5, len(ranked)) for ranked in lists]


def record(number: int, dataset: str = "one", answer: str = "Paris", relevant: int = 1) -> tuple[Record, RankedList]:
    documents = tuple(Document(f"text {i} of {number}", relevant=i == relevant) for i in range(3))
    vectors = np.array([[0.5, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)  # the second is nearest to the question
    ranked = RankedList(f"question {number}", documents, np.array([1.0, 0.0], dtype=np.float32), vectors)
    return Record(str(number), ranked.question, (answer,), documents, dataset), ranked


def several(count: int) -> tuple[list[Record], list[RankedList]]:
    pairs = [record(number, "one" if number % 2 else "two") for number in range(count)]
    return [r for r, _ in pairs], [ranked for _, ranked in pairs]


def right_on(numbers: Sequence[int], count: int, name: str) -> Echo:
    return Echo(name, {f"question {n}": "in Paris" if n in numbers else "Lyon" for n in range(count)}, {"method": name})


def test_orders() -> None:
    _, ranked = record(0)
    by_encoder = [document.text for document in arrange(ranked, "encoder").documents]
    assert by_encoder == ["text 1 of 0", "text 0 of 0", "text 2 of 0"]
    assert [document.text for document in arrange(ranked, "given", k=1).documents] == ["text 0 of 0"]
    assert {document.text for document in arrange(ranked, "shuffled", k=2).documents} == set(by_encoder[:2])
    assert arrange(ranked, "shuffled", seed=1).documents == arrange(ranked, "shuffled", seed=1).documents
    assert arrange(ranked, lambda given: given.reordered([2, 1, 0]), k=1).documents[0].text == "text 2 of 0"


def test_every_order_comes_up_in_shuffled_lists() -> None:
    seen = {tuple(d.text[5] for d in arrange(record(number)[1], "shuffled").documents) for number in range(60)}
    assert len(seen) == 6


@pytest.mark.parametrize(("order", "k"), [("sideways", None), ("encoder", 0)])
def test_unusable_orders(order: Any, k: int | None) -> None:
    with pytest.raises(InputError, match="choose encoder" if k is None else "from 1"):
        arrange(record(0)[1], order, k)


def test_figures_by_hand() -> None:
    records, lists = several(4)
    evaluation = evaluate(records, lists, [right_on([0], 4, "rag"), right_on([0, 1, 2], 4, "r2ag")], k=2)
    found = results(evaluation)
    assert found["records"] == 4
    assert found["k"] == 2
    assert found["methods"]["rag"]["acc"] == 0.25
    assert found["methods"]["r2ag"]["acc"] == 0.75
    assert found["methods"]["r2ag"]["f1"] == pytest.approx(0.75 * 2 / 3)
    assert found["methods"]["r2ag"]["em"] == 0
    assert found["methods"]["r2ag"]["documents_read_mean"] == 2
    assert found["methods"]["r2ag"]["prompt_tokens_mean"] == 10
    assert found["methods"]["r2ag"]["seconds_per_question"] == 0.5
    assert found["methods"]["r2ag"]["answer_words_mean"] == 1.75
    difference = found["paired"]["r2ag vs rag"]
    assert difference["acc_diff"] == 0.5
    assert difference["ci95"] == [0.0, 1.0]
    assert difference["mcnemar_p"] == 0.5
    perfect = dict.fromkeys(("map", "recall_at_1", "success_at_1", "recall_at_5", "recall_at_10", "ndcg_at_10"), 1)
    assert found["retrieval"] == {"records": 4, "map_ci95": [1, 1], **perfect}
    assert found["by_dataset"]["two"]["methods"]["rag"]["acc"] == 0.5
    assert found["by_dataset"]["one"]["methods"]["rag"]["acc"] == 0
    json.dumps(found)


def test_cutting_a_relevant_document_off_costs_average_precision() -> None:
    pairs = [record(0, relevant=0), record(1, relevant=1), record(2, relevant=9)]
    methods = [right_on([], 3, "rag")]
    found = results(evaluate([r for r, _ in pairs], [ranked for _, ranked in pairs], methods, k=1))
    assert found["retrieval"]["records"] == 2  # the third has no relevant document
    assert found["retrieval"]["map"] == 0.5


def test_what_the_relevance_head_says_is_measured_by_hand() -> None:
    pairs = [record(0, relevant=0), record(1, relevant=1), record(2, relevant=9)]
    evaluation = evaluate(
        [r for r, _ in pairs], [ranked for _, ranked in pairs], [right_on([], 3, "rag")], order="given"
    )
    said = ((0.9, 0.2, 0.2), (0.9, 0.4, 0.1), (0.3, 0.2, 0.1))
    head = results(replace(evaluation, probabilities=said))["retrieval"]["relevance_head"]
    assert (head["records"], head["map"], head["recall_at_1"]) == (2, 0.75, 0.5)
    # true: .9 and .4; false: .2 .2 .9 .1 .3 .2 .1; of 14 pairs 12 are right, one ties (.9), one is wrong (.4 below .9)
    assert head["roc_auc"] == pytest.approx(12.5 / 14)
    assert head["answerable_roc_auc"] == 1  # highest .9 and .9 against .3
    brier = (0.01 + 0.36 + 0.04 * 3 + 0.81 + 0.01 * 2 + 0.09) / 9
    assert head["brier_skill"] == pytest.approx(1 - brier / (2 / 9 * 7 / 9))
    # bins: (0, .1] says .2, (.1, .2] .6, (.2, .3] .3, (.3, .4] .4 of 1, (.8, .9] 1.8 of 1
    assert head["expected_calibration_error"] == pytest.approx((0.2 + 0.6 + 0.3 + 0.6 + 0.8) / 9)


def test_every_pair_on_demand() -> None:
    records, lists = several(2)
    evaluation = evaluate(records, lists, [right_on([0], 2, name) for name in "abc"])
    assert list(results(evaluation)["paired"]) == ["b vs a", "c vs a"]
    assert list(results(evaluation, all_pairs=True)["paired"]) == ["b vs a", "c vs a", "c vs b"]


def test_yes_no_questions_stand_apart() -> None:
    pairs = [record(0, answer="no"), record(1)]
    methods = [Echo("rag", {"question 0": "I know", "question 1": "Paris"})]
    found = results(evaluate([r for r, _ in pairs], [ranked for _, ranked in pairs], methods))
    assert found["methods"]["rag"]["yes_no"] == {"records": 1, "acc": 1, "acc_word": 0, "em": 0}


def test_a_run_continues_where_it_was_stopped(tmp_path: Path) -> None:
    records, lists = several(4)
    evaluate(records[:2], lists[:2], [right_on([0], 4, "rag")], output=tmp_path)
    path = PredictionFile(tmp_path, "rag").path
    path.write_bytes(path.read_bytes() + b'{"digest": "half a li')
    again, calls = right_on([0], 4, "rag"), []
    evaluation = evaluate(
        records, lists, [again], output=tmp_path, progress=lambda name, done, total: calls.append((name, done, total))
    )
    assert again.batches == [1, 1]
    assert calls == [("rag", 3, 4), ("rag", 4, 4)]
    assert [p.text for p in evaluation.predictions["rag"]] == ["in Paris", "Lyon", "Lyon", "Lyon"]
    last = right_on([0], 4, "rag")
    evaluate(records, lists, [last], output=tmp_path)
    assert last.batches == []


@pytest.mark.parametrize("change", ["settings", "order"])
def test_other_settings_or_lists_are_answered_anew(tmp_path: Path, change: str) -> None:
    records, lists = several(2)
    evaluate(records, lists, [right_on([0], 2, "rag")], output=tmp_path)
    settings = {"method": "rag", "max_new_tokens": 9} if change == "settings" else {"method": "rag"}
    other = Echo("rag", right_on([0], 2, "rag").answers, settings)
    evaluate(records, lists, [other], output=tmp_path, order="given" if change == "order" else "encoder")
    assert other.batches == [1, 1]


def test_batches_hold_lists_of_similar_length() -> None:
    records, lists = several(5)
    method = right_on([0], 5, "rag")
    evaluation = evaluate(records, lists, [method], batch_size=2)
    assert method.batches == [2, 2, 1]
    assert [p.text for p in evaluation.predictions["rag"]] == ["in Paris", *["Lyon"] * 4]
    with pytest.raises(InputError, match="batch size"):
        evaluate(records, lists, [method], batch_size=0)


def test_from_files_to_tables(parts: Parts, tmp_path: Path) -> None:
    records, _ = several(6)
    write_records(records[:3], tmp_path / "one.jsonl")
    write_records(records[3:], tmp_path / "two.jsonl")
    output, calls = tmp_path / "results", []

    def run() -> dict[str, Any]:
        return run_evaluation(
            [tmp_path / "one.jsonl", tmp_path / "two.jsonl"],
            ["rag", "r2ag", "r2ag-permuted"],
            parts.reader(),
            parts.encoder,
            k=2,
            limit=2,
            output=output,
            max_new_tokens=3,
            vector_cache=tmp_path / "vectors",
            batch_size=2,
            progress=lambda name, done, total: calls.append((name, done, total)),
        )

    found = run()
    assert calls == [(name, done, 4) for name in ("rag", "r2ag", "r2ag-permuted") for done in (2, 4)]
    assert (found["records"], found["k"]) == (4, 2)
    assert list(found["by_dataset"]) == ["one", "two"]
    assert list(found["paired"]) == ["r2ag vs rag", "r2ag-permuted vs rag"]
    reliability = {"expected_calibration_error", "brier_skill", "roc_auc", "answerable_roc_auc"}
    assert set(found["retrieval"]["relevance_head"]) == {*found["retrieval"], *reliability} - {"relevance_head"}
    assert found["settings"]["order"] == "encoder"
    assert json.loads((output / "results.json").read_text()) == found
    table = (output / "results.md").read_text()
    assert "## All records (4 records)" in table
    assert "| r2ag vs rag |" in table
    calls.clear()
    assert run() == found
    assert calls == []


def test_one_data_set_gives_one_section() -> None:
    records, lists = several(1)
    table = markdown(results(evaluate(records, lists, [right_on([0], 1, "rag")])))
    assert table.count("## ") == 1
    assert "| rag | 1.000 [1.000, 1.000] |" in table


def test_other_scores_of_finders_are_other_answers() -> None:
    _, ranked = record(0)
    scored = [replace(ranked, documents=(replace(ranked.documents[0], scores={"bm25": value}),)) for value in (1, 2)]
    assert len({digest_of({}, one) for one in (*scored, ranked.reordered([0]))}) == 3
