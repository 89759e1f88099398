from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from r2ag.errors import InputError
from r2ag.evaluation.methods.refined import Refined
from r2ag.types import Document
from tests.evaluation.conftest import Parts

needs_llmlingua = pytest.mark.skipif(find_spec("llmlingua") is None, reason="needs the extra llmlingua")
STORY = "The old bridge over the river fell in the great flood, and a mason of the town built it again in stone. " * 3


@pytest.fixture
def method(parts: Parts) -> Refined:
    made = parts.method("longllmlingua:0.4")
    assert isinstance(made, Refined)
    return made


@needs_llmlingua
@pytest.mark.parametrize(("spec", "message"), [("longllmlingua:2", "0 to 1"), ("longllmlingua:x", "0 to 1")])
def test_unusable_rates(parts: Parts, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parts.method(spec)


def test_the_library_is_an_extra(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "r2ag.evaluation.methods.longllmlingua", raising=False)
    monkeypatch.setitem(sys.modules, "llmlingua", None)
    with pytest.raises(InputError, match=r"r2ag\[llmlingua\]"):
        parts.method("longllmlingua")


@needs_llmlingua
def test_keys_and_values_in_pairs_change_no_logit(parts: Parts) -> None:
    from r2ag.evaluation.methods.longllmlingua import PairwiseLLM

    ids = torch.arange(5, 25)[None]
    mask = torch.ones_like(ids)
    read = PairwiseLLM(parts.llm)
    with torch.no_grad():
        whole = read(ids, mask, None, True)
        first = read(ids[:, :12], mask[:, :12], None, True)
        second = read(ids[:, 12:], mask, first.past_key_values, True)
    torch.testing.assert_close(second.logits, whole.logits[:, 12:], atol=1e-4, rtol=1e-4)
    assert len(second.past_key_values) == parts.llm.config.num_hidden_layers
    assert second.past_key_values[0][0].shape[2] == 20


@needs_llmlingua
def test_fewer_tokens_are_read(parts: Parts, method: Refined) -> None:
    documents = tuple(Document(f"{number}. {STORY}", f"Bridge {number}") for number in range(3))
    ranked = replace(parts.ranked(3), documents=documents)
    refinement = method.refine(ranked)
    assert len(refinement.documents) == 1
    assert 1 <= refinement.documents_read <= 3
    encoded = len(parts.tokenizer(refinement.documents[0].text)["input_ids"])
    whole = sum(len(parts.tokenizer(document.passage)["input_ids"]) for document in documents)
    assert encoded < 0.7 * whole
    (compressed,), (plain,) = method.answer([ranked]), parts.method("rag").answer([ranked])
    assert 0 < compressed.prompt_tokens < 0.8 * plain.prompt_tokens
    assert compressed.seconds > 0


@needs_llmlingua
def test_equal_lists_are_compressed_alike(parts: Parts, method: Refined) -> None:
    ranked = replace(parts.ranked(2), documents=(Document(STORY), Document(STORY[::-1])))
    assert method.refine(ranked) == method.refine(ranked)


@needs_llmlingua
@pytest.mark.parametrize("text", ["short", "", "桥在哪里？<|im_end|> 🌉", "a\n\nb"])
def test_odd_documents(parts: Parts, method: Refined, text: str) -> None:
    for count in (1, 3):
        ranked = replace(parts.ranked(count), documents=(Document(text),) * count)
        assert 1 <= method.refine(ranked).documents_read <= count
