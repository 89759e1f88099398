from __future__ import annotations

import pytest
import torch

from r2ag.evaluation.attention import attention_map
from tests.evaluation.conftest import Parts


def test_what_the_last_token_looks_at(parts: Parts) -> None:
    reader, ranked = parts.reader(), parts.ranked(3)
    found = attention_map(reader, ranked, "7", max_new_tokens=4)
    layers = parts.llm.config.num_hidden_layers
    assert (found.record_id, found.relevant) == ("7", (True, False, False))
    assert [len(found.anchors), len(found.documents)] == [layers, layers]
    assert all(len(row) == 3 for row in (*found.anchors, *found.documents))
    assert all(0 < sum(a) + sum(d) < 1 for a, d in zip(found.anchors, found.documents, strict=True))


def test_anchors_and_texts_are_where_the_prompt_has_them(parts: Parts) -> None:
    reader, ranked = parts.reader(), parts.ranked(3)
    prompt = reader.prompt(ranked.question, ranked.documents, 4)
    for document, (start, end), slots in zip(ranked.documents, prompt.documents, prompt.slots, strict=True):
        assert reader.tokenizer.decode(list(prompt.ids[start:end])).strip() == document.passage
        assert slots[-1] < start


def test_the_llm_is_left_as_it_was(parts: Parts) -> None:
    before = parts.llm.config._attn_implementation
    attention_map(parts.reader(), parts.ranked(2), "7")
    assert parts.llm.config._attn_implementation == before


def test_one_layer_by_hand(parts: Parts) -> None:
    reader, ranked = parts.reader(), parts.ranked(2)
    prompt = reader.prompt(ranked.question, ranked.documents, 32)
    mixed = reader.embed([prompt], [reader.assess([ranked]).anchors[0]])
    parts.llm.set_attn_implementation("eager")
    with torch.no_grad():
        weights = parts.llm(inputs_embeds=mixed.embeddings, output_attentions=True).attentions[0][0, :, -1].mean(0)
    parts.llm.set_attn_implementation("sdpa")
    start, end = prompt.documents[1]
    assert attention_map(reader, ranked, "7").documents[0][1] == pytest.approx(float(weights[start:end].sum()))
