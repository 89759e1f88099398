from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from r2ag.answering.reader import Reader
from r2ag.errors import InputError
from r2ag.method.calibration import Calibration
from r2ag.method.templates import plain_template
from r2ag.types import Document, RankedList
from tests.tiny import some_documents, tiny_adapter, tiny_encoder, tiny_llm, tiny_tokenizer

QUESTION = "Which bridge is the oldest?"
PLAIN = plain_template("short-answer")


@pytest.fixture(scope="module")
def reader() -> Reader:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    llm = tiny_llm(vocabulary=len(tokenizer))
    adapter = tiny_adapter(llm, tokenizer).with_calibration(Calibration(slope=2.0, intercept=-0.5))
    adapter.former.train()  # as it comes out of training
    return Reader(llm, tokenizer, adapter)


def ranked(count: int, words: int = 0) -> RankedList:
    """`count` documents, the first of them `words` words longer than the others."""
    documents = list(some_documents(count))
    if words:
        documents[0] = Document(documents[0].text + " river" * words)
    return tiny_encoder().describe(QUESTION, documents)


def test_unequal_lists_together_read_as_one_at_a_time(reader):
    lists = [ranked(1), ranked(8), ranked(3, words=30), ranked(5)]
    together = reader.read(lists, reader.assess(lists), 12)
    for ranked_list, reading in zip(lists, together, strict=True):
        (alone,) = reader.read([ranked_list], reader.assess([ranked_list]), 12)
        assert (alone.generation.text, alone.prompt) == (reading.generation.text, reading.prompt)
    assert len({reading.generation.text for reading in together}) == 4


def test_the_answer_depends_on_the_anchors(reader):
    lists = [ranked(3)]
    assessment = reader.assess(lists)
    zeroed = replace(assessment, anchors=torch.zeros_like(assessment.anchors))
    texts = [reader.read(lists, said, 12)[0].generation.text for said in (assessment, zeroed)]
    assert texts[0] != texts[1]


def test_assessing_is_repeatable_and_calibrated(reader):
    lists = [ranked(2), ranked(6)]
    assessment, again = reader.assess(lists), reader.assess(lists)
    assert torch.equal(assessment.anchors, again.anchors)
    assert assessment.mask.sum(dim=1).tolist() == [2, 6]
    assert [len(row) for row in assessment.probabilities] == [2, 6]
    for row, logits in zip(assessment.probabilities, assessment.logits, strict=True):
        expected = [1 / (1 + math.exp(-(2.0 * float(logit) - 0.5))) for logit in logits[: len(row)]]
        assert row == pytest.approx(expected)
    assert min(assessment.features_ms, assessment.former_ms) > 0


def test_relevance_is_the_encoders_similarity(reader):
    lists = [ranked(4)]
    scores = lists[0].document_vectors @ lists[0].query_vector
    np.testing.assert_allclose(reader.assess(lists).features[0, :, 0], scores, atol=1e-6)


def test_permuted_features_are_those_of_other_documents(reader):
    lists = [ranked(4)]
    own, other = reader.assess(lists), reader.assess(lists, torch.tensor([[2, 0, 3, 1]]))
    assert torch.equal(other.features[0], own.features[0, [2, 0, 3, 1]])
    assert not torch.allclose(other.anchors, own.anchors)


def test_documents_that_are_kept_keep_their_anchors_of_the_whole_list(reader):
    lists, keep = [ranked(6), ranked(4)], [[4, 1], [2]]
    assessment = reader.assess(lists)
    readings = reader.read(lists, assessment, 12, keep=keep)
    for row, (ranked_list, indices, reading) in enumerate(zip(lists, keep, readings, strict=True)):
        chosen = [ranked_list.documents[index] for index in indices]
        assert reading.prompt == reader.prompt(QUESTION, chosen, 12)
        assert len(reading.prompt.slots) == len(indices)
        anchors = assessment.anchors[row, indices]
        embeddings = reader.embed([reading.prompt], [anchors]).embeddings[0]
        assert torch.equal(embeddings[[positions[0] for positions in reading.prompt.slots]], anchors[:, 0])
        # That reading placed just these follows from the answer.
        (generation,) = reader.engine.generate(reader.embed([reading.prompt], [anchors]), 12)
        assert generation.text == reading.generation.text


def test_without_assessment_and_slots_reading_is_plain_rag(reader):
    (reading,) = reader.read([ranked(3)], None, 12, template=PLAIN)
    ids = torch.tensor([reading.prompt.ids])
    with torch.no_grad():
        written = reader.model.llm.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12)[
            0, ids.shape[1] :
        ]
    assert reading.generation.text == reader.tokenizer.decode(written, skip_special_tokens=True).strip()
    assert reading.prompt.slots == ((), (), ())


def test_a_template_has_one_builder(reader):
    assert reader.builder_for(PLAIN) is reader.builder_for(PLAIN)
    assert reader.builder_for(reader.builder.template) is reader.builder


def test_long_documents_are_shortened_to_leave_room_for_the_answer(reader):
    long = RankedList(QUESTION, (Document("river " * 500), *some_documents(2)), *vectors(3))
    (reading,) = reader.read([long], reader.assess([long]), 12)
    assert reading.prompt.shortened == 1
    assert len(reading.prompt) == reader.context_window - 12
    text = reader.tokenizer.decode(reading.prompt.ids)
    assert QUESTION in text
    assert "The bridge number 1 was built in 1401." in text


def test_a_question_that_does_not_fit_is_refused(reader):
    with pytest.raises(InputError, match=r"take \d+ tokens of the 500 that fit; ask a shorter question"):
        reader.read([RankedList("why " * 600, some_documents(1), *vectors(1))], reader.assess([ranked(1)]), 12)


@pytest.mark.parametrize("count", [0, 9])
def test_lists_of_other_lengths_are_refused(reader, count):
    lists = [ranked(3), RankedList(QUESTION, some_documents(count), *vectors(count))]
    with pytest.raises(InputError, match=f"has {count} documents and this adapter takes 1 to 8"):
        reader.assess(lists)


def vectors(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(32, dtype=np.float32), np.eye(count, 32, dtype=np.float32)
