from __future__ import annotations

import pytest

from r2ag.answering.citations import cite
from r2ag.types import Document, ScoredDocument

TEXTS = (
    "Johannes Gutenberg printed his Bible in Mainz, at a party of printers.",
    "The bridge was built by Peter Parler, a mason from Prague, in 1357.",
    "蜜蜂用舞蹈告诉同伴花在哪里。",
)


def scored(probability: float = 0.9, used: bool = True, title: str = "") -> tuple[ScoredDocument, ...]:
    return tuple(
        ScoredDocument(rank, Document(text, title), {}, probability, used) for rank, text in enumerate(TEXTS, start=1)
    )


@pytest.mark.parametrize(
    ("answer", "citations"),
    [
        ("Peter Parler", (2,)),
        ("peter parler.", (2,)),
        ("Parler Peter", ()),
        ("art", ()),  # "party" holds the letters, not the word
        ("135", ()),
        ("舞蹈", (3,)),
        ("It was the mason Peter Parler from Prague who built this bridge in 1357", (2,)),
        ("It was the printer Aldus Manutius from Venice who built this press in 1494", ()),
        ("it is by far in the", ()),
        ("Yes.", (1, 2, 3)),
        ("no", (1, 2, 3)),
        ("", ()),
        (" \n", ()),
        ("?!", ()),
    ],
)
def test_documents_that_bear_the_answer_are_cited(answer, citations):
    assert cite(answer, scored(), threshold=0.5) == citations


@pytest.mark.parametrize("answer", ["Peter Parler", "yes"])
def test_only_documents_that_were_read_and_are_probable_are_cited(answer):
    assert cite(answer, scored(probability=0.49), threshold=0.5) == ()
    assert cite(answer, scored(used=False), threshold=0.5) == ()
    assert 2 in cite(answer, scored(probability=0.5), threshold=0.5)


def test_a_title_bears_an_answer_too():
    assert cite("Charles Bridge", scored(title="Charles Bridge"), threshold=0.5) == (1, 2, 3)
