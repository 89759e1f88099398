from __future__ import annotations

import pytest

from r2ag.answering.matching import holds, stands_in


@pytest.mark.parametrize(
    ("answer", "text", "found"),
    [
        ("Anna Meyer", "It was built by ANNA MEYER, again.", True),
        ("Anna Meyer", "Anna built it. Meyer did not.", False),
        ("no", "I know it.", False),
        ("石桥", "这座石桥很老。", True),
        ("?!", "What?!", False),
        ("", "Nothing.", False),
    ],
)
def test_an_answers_words_stand_in_a_text(answer: str, text: str, found: bool) -> None:
    assert stands_in(answer, text) is found


def test_no_words_stand_nowhere() -> None:
    assert not holds([], [])
    assert holds(["a", "b", "c"], ["b", "c"])
    assert not holds(["a", "b", "c"], ["a", "c"])
