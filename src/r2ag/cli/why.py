"""Why an answer is as it is: what the LLM was told of each document besides its text, and what that did."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TextIO

from r2ag.cli.documents import one_line, probability_bar
from r2ag.cli.output import console

if TYPE_CHECKING:
    from r2ag.answering.explain import Explanation
    from r2ag.types import Answer, ScoredDocument

WIDTH_WITH_FEATURES = 72
LEAST_FALL = 0.05  # nats, five per cent: what is less is a rounding error of the LLM's
MOST_TIMES = 1000
_NEAR = {"relevance": "near\nquestion", "precedent": "near\nabove", "neighbour": "near\nbeside"}


def print_why(answer: Answer, explanation: Explanation | None, threshold: float, stream: TextIO) -> None:
    """Prints the table at the terminal's width, and what it means.

    Args:
        explanation: None where there is no answer to explain.
        threshold: the probability of relevance below which no question is answered.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    target = console(stream)
    names = list(dict.fromkeys(name for document in answer.documents for name in document.features))
    shown = names if target.width >= WIDTH_WITH_FEATURES else []
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("relevant", no_wrap=True)
    for name in shown:
        table.add_column(_NEAR.get(name, name), justify="right", no_wrap=True)
    if explanation is not None:
        table.add_column("its anchor made\nthe answer", no_wrap=True)
    table.add_column("title", ratio=1)
    for document in answer.documents:
        table.add_row(
            str(document.rank),
            probability_bar(document.relevance_probability, stream),
            *(f"{document.features[name]:.2f}" if name in document.features else "" for name in shown),
            *([] if explanation is None else [_effect(document, explanation)]),
            one_line(document.document.title),
        )
    target.print(table)
    for sentence in _sentences(answer, explanation, threshold, bool(shown)):
        target.print(Text(sentence))


def in_times(fall: float) -> str:
    """What a fall in nats says of the answer: "2.1 × likelier", "1.4 × less likely" or "no different"."""
    if abs(fall) < LEAST_FALL:
        return "no different"
    direction = "likelier" if fall > 0 else "less likely"
    if abs(fall) > math.log(MOST_TIMES):
        return f"over {MOST_TIMES:,} × {direction}"
    times = math.exp(abs(fall))
    return f"{times:.1f} × {direction}" if times < 10 else f"{times:.0f} × {direction}"


def _effect(document: ScoredDocument, explanation: Explanation) -> str:
    return in_times(explanation.falls[document.rank]) if document.used else "(not read)"


def _sentences(answer: Answer, explanation: Explanation | None, threshold: float, with_features: bool) -> list[str]:
    said = ["relevant: how probable it is that the document bears on the question."]
    if with_features:
        said.append(
            "near: how alike in meaning it is to the question, to the documents above it, and to those just above and "
            "below; 1 is the same, 0 has nothing to do with it."
        )
    if explanation is not None:
        said.append(
            "anchor: what the LLM is told of a document besides its text. To see what it did, the answer was read "
            "again with an anchor that knows nothing in its place. All anchors together made the answer "
            f"{in_times(explanation.fall_of_all)}."
        )
    elif answer.abstained:
        said.append(f"No document is relevant with a probability of {threshold:.2f}, so the LLM was not asked.")
    return said
