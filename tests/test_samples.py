from __future__ import annotations

import pytest

from r2ag.corpus import read_documents
from r2ag.samples import documents_folder, questions
from r2ag.types import Document


@pytest.fixture(scope="module")
def passages() -> list[Document]:
    return read_documents([documents_folder()], lambda text: len(text.split()), 120)


def test_there_are_forty_short_passages_with_titles_of_their_own(passages):
    assert len(passages) == 40
    assert len({passage.title for passage in passages}) == 40
    assert len({passage.source for passage in passages}) == 40
    lengths = {passage.title: len(passage.text.split()) for passage in passages}
    assert {title: length for title, length in lengths.items() if not 50 <= length <= 90} == {}


def test_there_are_a_dozen_questions_some_without_an_answer():
    asked = questions()
    assert len({entry.question for entry in asked}) == 12
    assert sum(not entry.answers for entry in asked) == 3


@pytest.mark.parametrize("entry", [entry for entry in questions() if entry.answers], ids=lambda entry: entry.question)
def test_an_answer_stands_in_exactly_one_passage(passages, entry):
    bearing = {p.title for p in passages if any(answer.lower() in p.passage.lower() for answer in entry.answers)}
    assert len(bearing) == 1
    assert all(answer.lower() not in entry.question.lower() for answer in entry.answers)
