"""What the anchors did for an answer that was given: how much less probable it is where they know nothing.

An anchor that knows nothing is made from features that are not known: the R²-Former then takes the training records'
mean (see R2Former), and so does the relevance head. Everything else, the documents' text above all, stays as it was.
The R²-Former looks at the whole list, so that one document's features have a small part in the other anchors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from r2ag.answering.reader import Reader
from r2ag.errors import InputError
from r2ag.method.prompting import Turn
from r2ag.types import Answer, RankedList


@dataclass(frozen=True)
class Explanation:
    """All in nats, of the whole answer: e to the power of a fall is how many times less probable the answer becomes.

    log_probability: of the answer as it was given. falls: by how much that falls where one document's features are
    unknown, by its rank; documents that were not read have none. Below 0, the anchor was in the answer's way.
    fall_of_all: where no document's features are known.
    """

    log_probability: float
    falls: dict[int, float]
    fall_of_all: float


@torch.inference_mode()
def explain(
    reader: Reader, ranked: RankedList, answer: Answer, max_new_tokens: int, history: Sequence[Turn] = ()
) -> Explanation:
    """Reads the answer once for each document that was read, and twice more: a fraction of a second each on a CPU.

    What is measured is this answer and no longer one: its text, tokenised again, and what ends it. An answer that was
    cut at its longest counts as if it had ended there.

    Args:
        ranked: the list that was answered from.
        max_new_tokens: as the answer was asked for, since it shapes the prompt.
        history: the same.

    Raises:
        InputError: there is no answer to explain.
    """
    if not answer.text:
        raise InputError("There is no answer to explain.")
    read = [document.rank - 1 for document in answer.documents if document.used]
    prompt = reader.prompt(ranked.question, [ranked.documents[i] for i in read], max_new_tokens, history)
    target = reader.builder.target(answer.text)

    def log_probability(unknown: Sequence[int]) -> float:
        hidden = torch.tensor([[index in unknown for index in range(len(ranked))]])
        anchors = reader.assess([ranked], unknown=hidden).anchors[:, read]
        return -float(reader.model.language_loss([prompt], anchors, [target])) * len(target)

    given = log_probability([])
    return Explanation(
        log_probability=given,
        falls={index + 1: given - log_probability([index]) for index in read},
        fall_of_all=given - log_probability(range(len(ranked))),
    )
