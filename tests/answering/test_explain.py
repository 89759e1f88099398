from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from r2ag.answering.explain import explain
from r2ag.answering.reader import Reader
from r2ag.errors import InputError
from r2ag.method.calibration import Calibration
from r2ag.method.former import FormerConfig
from r2ag.method.prompting import Turn
from r2ag.pipeline import Pipeline
from tests.tiny import HIDDEN, some_documents, tiny_adapter, tiny_encoder, tiny_llm, tiny_tokenizer

QUESTION = "Which bridge is the oldest?"
NEW_TOKENS = 8
SMALL = FormerConfig(HIDDEN, hidden_size=16, heads=2, feed_forward_size=32, max_documents=8)


def new_pipeline(prune_threshold: float = 0.0, **changes: object) -> Pipeline:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    llm = tiny_llm(vocabulary=len(tokenizer))
    adapter = tiny_adapter(llm, tokenizer, **changes)
    calibration = Calibration(threshold=0.0, prune_threshold=prune_threshold)
    return Pipeline(Reader(llm, tokenizer, adapter.with_calibration(calibration)), tiny_encoder())


@torch.no_grad()
def by_hand(pipeline: Pipeline, question: str, count: int, read: list[int], text: str, unknown: list[int]) -> float:
    """The answer's log-probability, token after token, from the R²-Former up."""
    reader = pipeline.reader
    ranked = pipeline.find(question, some_documents(count)).ranked
    features = reader.assess([ranked]).features.clone()
    former = reader.model.former
    for index in unknown:
        features[0, index] = former.mean
    anchors = former(features, torch.ones(1, count, dtype=torch.bool)).anchors[0, read]
    prompt = reader.builder.build(question, [ranked.documents[i] for i in read], 500)
    embeddings = reader.model.llm.get_input_embeddings()
    inputs = embeddings(torch.tensor(prompt.ids))
    for row, positions in enumerate(prompt.slots):
        inputs[list(positions)] = anchors[row]
    total = 0.0
    for token in reader.builder.target(text):
        logits = reader.model.llm(inputs_embeds=inputs[None]).logits[0, -1]
        total += float(logits.log_softmax(dim=-1)[token])
        inputs = torch.cat([inputs, embeddings(torch.tensor([token]))])
    return total


@pytest.mark.parametrize(
    "former", [SMALL, replace(SMALL, slots=2), replace(SMALL, relevance_direction=True)], ids=["1", "2", "direction"]
)
def test_an_explanation_equals_a_loop_by_hand(former):
    pipeline = new_pipeline(former=former)
    found = pipeline.find(QUESTION, some_documents(4))
    answer = pipeline.answer(found, max_new_tokens=NEW_TOKENS)
    explanation = explain(pipeline.reader, found.ranked, answer, NEW_TOKENS)
    read = [0, 1, 2, 3]
    given = by_hand(pipeline, QUESTION, 4, read, answer.text, [])
    assert explanation.log_probability == pytest.approx(given, abs=1e-3)
    assert list(explanation.falls) == [1, 2, 3, 4]
    for rank, fall in explanation.falls.items():
        assert fall == pytest.approx(given - by_hand(pipeline, QUESTION, 4, read, answer.text, [rank - 1]), abs=1e-3)
    assert max(map(abs, explanation.falls.values())) > 0.02
    assert explanation.fall_of_all == pytest.approx(
        given - by_hand(pipeline, QUESTION, 4, read, answer.text, read), abs=1e-3
    )


def test_documents_that_were_not_read_have_no_anchor_and_still_count_among_all():
    pipeline = new_pipeline(prune_threshold=0.99)
    found = pipeline.find(QUESTION, some_documents(4))
    answer = pipeline.answer(found, max_new_tokens=NEW_TOKENS)
    (read,) = [document.rank - 1 for document in answer.documents if document.used]
    explanation = explain(pipeline.reader, found.ranked, answer, NEW_TOKENS)
    assert list(explanation.falls) == [read + 1]
    given, alone, nothing = (
        by_hand(pipeline, QUESTION, 4, [read], answer.text, unknown) for unknown in ([], [read], [0, 1, 2, 3])
    )
    assert explanation.falls[read + 1] == pytest.approx(given - alone, abs=1e-3)
    assert explanation.fall_of_all == pytest.approx(given - nothing, abs=1e-3)
    assert explanation.fall_of_all != explanation.falls[read + 1]


def test_learned_tokens_know_no_features():
    pipeline = new_pipeline(method="learned-tokens")
    found = pipeline.find(QUESTION, some_documents(3))
    explanation = explain(pipeline.reader, found.ranked, pipeline.answer(found, max_new_tokens=NEW_TOKENS), NEW_TOKENS)
    assert explanation.log_probability < 0
    assert {*explanation.falls.values(), explanation.fall_of_all} == {0.0}


def test_features_that_are_the_mean_do_nothing():
    pipeline = new_pipeline()
    found = pipeline.find(QUESTION, some_documents(1))
    answer = pipeline.answer(found, max_new_tokens=NEW_TOKENS)
    pipeline.reader.model.former.mean.copy_(pipeline.reader.assess([found.ranked]).features[0, 0])
    explanation = explain(pipeline.reader, found.ranked, answer, NEW_TOKENS)
    assert (explanation.falls, explanation.fall_of_all) == ({1: 0.0}, 0.0)


def test_the_prompt_is_the_one_that_was_read():
    pipeline = new_pipeline()
    found = pipeline.find(QUESTION, some_documents(2))
    answer = pipeline.answer(found, max_new_tokens=NEW_TOKENS, system="Be brief.")
    with_system = explain(pipeline.reader, found.ranked, answer, NEW_TOKENS, history=(Turn("system", "Be brief."),))
    assert pipeline.explain(found, answer, max_new_tokens=NEW_TOKENS, system="Be brief.") == with_system
    assert with_system != explain(pipeline.reader, found.ranked, answer, NEW_TOKENS)


def test_where_there_is_no_answer_there_is_nothing_to_explain():
    pipeline = new_pipeline()
    found = pipeline.find(QUESTION, some_documents(2))
    answer = replace(pipeline.answer(found, max_new_tokens=1), text="")
    with pytest.raises(InputError, match="no answer to explain"):
        explain(pipeline.reader, found.ranked, answer, NEW_TOKENS)


def test_the_pipeline_explains_while_no_other_thread_uses_the_models(monkeypatch):
    pipeline = new_pipeline()
    found = pipeline.find(QUESTION, some_documents(2))
    answer = pipeline.answer(found, max_new_tokens=NEW_TOKENS)
    language_loss, others_may_begin = pipeline.reader.model.language_loss, []

    def noting(*inputs):
        with ThreadPoolExecutor(1) as other:
            others_may_begin.append(other.submit(can_begin, pipeline).result(60))
        return language_loss(*inputs)

    monkeypatch.setattr(pipeline.reader.model, "language_loss", noting)
    pipeline.explain(found, answer, max_new_tokens=NEW_TOKENS)
    assert others_may_begin == [False] * 4
    assert can_begin(pipeline)


def can_begin(pipeline: Pipeline) -> bool:
    """Whether this thread could use the models at once."""
    if taken := pipeline._turn.acquire(blocking=False):
        pipeline._turn.release()
    return taken
