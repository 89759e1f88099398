from __future__ import annotations

import pytest
import torch

from r2ag.answering.reader import Reader
from r2ag.pipeline import Pipeline
from r2ag.records.vectors import describe_records
from r2ag.studies.language_loss import LANGUAGE_LOSS, LONGEST_ANSWER
from r2ag.types import RankedList, Record
from tests.tiny import some_documents, tiny_adapter, tiny_encoder, tiny_llm, tiny_tokenizer

QUESTION = "Which bridge is the oldest?"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    tokenizer = tiny_tokenizer()
    llm = tiny_llm(vocabulary=len(tokenizer))
    return Pipeline(Reader(llm, tokenizer, tiny_adapter(llm, tokenizer)), tiny_encoder())


def loss(pipeline: Pipeline, *answers: str) -> float:
    record = Record("1", QUESTION, answers, some_documents(3))
    (ranked,) = describe_records(pipeline.encoder, [record])
    (line,) = LANGUAGE_LOSS.lines(pipeline, [record], [ranked])
    assert line is not None
    return float(line["language_loss"])


def by_hand(pipeline: Pipeline, ranked: RankedList, target: list[int]) -> float:
    """Each token's loss behind the prompt with anchors and all tokens before it, read anew for each."""
    reader = pipeline.reader
    prompt = reader.prompt(QUESTION, ranked.documents, LONGEST_ANSWER)
    read = reader.embed([prompt], [reader.assess([ranked]).anchors[0]]).embeddings
    table = reader.model.llm.get_input_embeddings()
    losses = []
    with torch.inference_mode():
        for place, token in enumerate(target):
            before = table(torch.tensor([target[:place]], dtype=torch.long))
            logits = reader.model.llm(inputs_embeds=torch.cat([read, before], dim=1)).logits[0, -1]
            losses.append(-float(logits.log_softmax(-1)[token]))
    return sum(losses) / len(losses)


def test_the_first_answers_tokens_behind_documents_and_anchors(pipeline: Pipeline) -> None:
    record = Record("1", QUESTION, ("Bridge 1", "another"), some_documents(3))
    (ranked,) = describe_records(pipeline.encoder, [record])
    target = pipeline.reader.builder.target("Bridge 1")
    assert loss(pipeline, *record.answers) == pytest.approx(by_hand(pipeline, ranked, target), abs=1e-4)


def test_an_answer_beyond_the_limit_is_measured_to_there(pipeline: Pipeline) -> None:
    assert loss(pipeline, "a" * 200) == pytest.approx(loss(pipeline, "a" * 300), abs=1e-6)
