from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from r2ag.errors import InputError
from r2ag.evaluation.choose import choose
from r2ag.evaluation.methods import Prediction
from r2ag.evaluation.methods.refined import Refined
from r2ag.types import RankedList
from tests.evaluation.conftest import Parts
from tests.evaluation.test_run import several


@pytest.fixture
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short answers score on every record, others on the first; three documents are as good as four, and best."""
    scores = {"rag:short-answer": 3, "rag-topn:3": 4, "rag-topn:4": 4}

    def answer(self: Refined, lists: Sequence[RankedList]) -> list[Prediction]:
        right = scores.get(self.name, 1)
        numbers = [int(ranked.question.split()[-1]) for ranked in lists]
        return [Prediction("Paris" if number < right else "Lyon", 1, 1, 0.1, 1) for number in numbers]

    monkeypatch.setattr(Refined, "answer", answer)


@pytest.mark.usefixtures("_scripted")
def test_the_best_family_then_its_best_top_n(parts: Parts) -> None:
    records, lists = several(4)
    families = ("question-last", "short-answer", "one-shot")
    choice = choose(records, lists, parts.reader(), families=families, top_ns=(2, 3, 4), thresholds=(0.5, 0.9))
    assert (choice.family, choice.top_n, choice.records) == ("short-answer", 3, 4)
    assert {name: score.acc for name, score in choice.family_scores.items()} == {
        "question-last": 0.25,
        "short-answer": 0.75,
        "one-shot": 0.25,
    }
    assert choice.top_n_scores == {2: (0.25, 0.25), 3: (1.0, 1.0), 4: (1.0, 1.0)}
    assert list(choice.prune_scores) == [0.5, 0.9]
    config = choice.applied(parts.adapter().config)
    assert (config.plain_prompt, config.plain_top_n) == ("short-answer", 3)
    assert config.calibration.prune_threshold == choice.prune_threshold


@pytest.mark.usefixtures("_scripted")
def test_the_earlier_of_equals_wins(parts: Parts) -> None:
    records, lists = several(4)
    choice = choose(records, lists, parts.reader(), families=("one-shot", "few-shot"), top_ns=(2, 1))
    assert (choice.family, choice.top_n) == ("one-shot", 2)


def test_f1_decides_between_equals_in_acc(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long gold answers, of which no prediction holds every word."""
    records, lists = several(4)
    records = [replace(record, answers=("Paris on the Seine",)) for record in records]

    def answer(self: Refined, lists: Sequence[RankedList]) -> list[Prediction]:
        return [Prediction("Paris" if self.settings["top_n"] == 1 else "Lyon", 1, 1, 0.1, 1) for _ in lists]

    monkeypatch.setattr(Refined, "answer", answer)
    choice = choose(records, lists, parts.reader(), families=("few-shot",), top_ns=(2, 1))
    assert choice.top_n == 1
    assert choice.top_n_scores[1].acc == 0


def test_nothing_to_choose_from(parts: Parts) -> None:
    with pytest.raises(InputError, match="nothing to choose from"):
        choose([], [], parts.reader())
