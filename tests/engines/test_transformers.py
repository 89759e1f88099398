from __future__ import annotations

import warnings

import pytest
import torch

from r2ag.engines.generation import Generation
from r2ag.engines.transformers import TransformersEngine
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.model import R2AGModel
from r2ag.method.prompting import Prompt
from tests.tiny import LINEAR, tiny_llm, tiny_tokenizer

FAMILIES = pytest.mark.parametrize("family", ["llama", *LINEAR])
TOKENIZERS = pytest.mark.parametrize("kind", ["bytes", "llama", "unigram", "wordpiece"])


def tiny_engine(kind: str = "bytes", end_of_turn: int = 3, family: str = "llama") -> TransformersEngine:
    tokenizer = tiny_tokenizer(kind)
    return TransformersEngine(tiny_llm(family, vocabulary=len(tokenizer)), tokenizer, end_of_turn)


def mixed(engine: TransformersEngine, *prompts: list[int]) -> MixedEmbeddings:
    """Embeddings of plain token ids."""
    return R2AGModel(engine.llm, torch.nn.Module()).embed([Prompt(tuple(ids), ()) for ids in prompts], None)


def random_ids(seed: int, count: int = 12) -> list[int]:
    return torch.randint(10, 100, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def greedy(engine: TransformersEngine, ids: list[int], count: int) -> list[int]:
    """The ids that follow, by a plain loop over whole forward passes."""
    written = list(ids)
    with torch.no_grad():
        for _ in range(count):
            written.append(int(engine.llm(input_ids=torch.tensor([written])).logits[0, -1].argmax()))
    return written[len(ids) :]


def generate(engine: TransformersEngine, seed: int, count: int = 16, stop: str = "") -> tuple[Generation, list[str]]:
    pieces: list[str] = []
    (generation,) = engine.generate(mixed(engine, random_ids(seed)), count, pieces.append, stop)
    return generation, pieces


@FAMILIES
def test_generation_is_greedy_whatever_the_llm_brings_along(family):
    engine = tiny_engine(family=family)
    expected = engine.tokenizer.decode(greedy(engine, random_ids(0), 16), skip_special_tokens=True).strip()
    engine.llm.generation_config.update(do_sample=True, temperature=5.0, top_k=50, top_p=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generation, _ = generate(engine, seed=0)
    assert (generation.text, generation.completion_tokens, generation.finish_reason) == (expected, 16, "length")
    assert generation.prefill_ms > 0
    assert generation.decode_ms > 0


@FAMILIES
def test_an_answer_ends_at_either_stop_token(family):
    engine = tiny_engine(family=family)
    ids = greedy(engine, random_ids(0), 16)
    stop = ids[5]
    before = ids[: ids.index(stop)]
    expected = engine.tokenizer.decode(before, skip_special_tokens=True).strip()
    for tokens in ([stop, 3], [2, stop]):
        engine.stop_tokens = tokens
        generation, pieces = generate(engine, seed=0)
        assert (generation.text, generation.completion_tokens) == (expected, len(before))
        assert generation.finish_reason == "stop"
        assert "".join(pieces) == expected


@FAMILIES
def test_a_stop_within_the_last_token_that_fits_ends_the_answer_by_itself(family):
    engine = tiny_engine(family=family)
    whole, _ = generate(engine, seed=1)
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 3]
    count = next(n for n in range(1, 17) if stop in generate(engine, seed=1, count=n)[0].text)
    stopped, pieces = generate(engine, seed=1, count=count, stop=stop)
    assert (stopped.completion_tokens, stopped.finish_reason) == (count, "stop")
    assert stopped.text == "".join(pieces) == whole.text.partition(stop)[0].strip()


@TOKENIZERS
def test_streamed_pieces_make_the_text(kind):
    engine = tiny_engine(kind)
    written = [generate(engine, seed) for seed in range(20)]
    # A llama tokenizer that meets a byte which is no UTF-8 takes back whole characters; no real LLM writes such bytes.
    legible = [(g, pieces) for g, pieces in written if kind != "llama" or "\ufffd" not in g.text]
    assert ["".join(pieces) for _, pieces in legible] == [generation.text for generation, _ in legible]
    assert all(piece for _, pieces in legible for piece in pieces)
    assert max(len(pieces) for _, pieces in legible) > 5


def test_no_piece_ends_within_a_character():
    """The LLM's own choice is overruled, so that it writes these bytes."""
    engine = tiny_engine()
    bridge = engine.tokenizer.encode("橋é 橋", add_special_tokens=False)
    assert len(bridge) > 5
    forced = iter(bridge)
    head = engine.llm.lm_head
    head.register_forward_hook(lambda module, inputs, output: _only(output, next(forced)))
    generation, pieces = generate(engine, seed=0, count=len(bridge))
    assert generation.text == "橋é 橋"
    assert pieces == ["橋", "é", " 橋"]


def _only(logits: torch.Tensor, token: int) -> torch.Tensor:
    return torch.full_like(logits, -1.0).index_fill(-1, torch.tensor([token]), 1.0)


@pytest.mark.parametrize("at_once", [1, 64, 512])
@FAMILIES
def test_a_batch_of_unequal_prompts_equals_one_at_a_time(family, at_once, monkeypatch):
    monkeypatch.setattr("r2ag.engines.batch._TOKENS_AT_ONCE", at_once)
    engine = tiny_engine(family=family)
    prompts = [random_ids(seed, count) for seed, count in enumerate([3, 40, 17, 1])]
    together = engine.generate(mixed(engine, *prompts), 12)
    alone = [engine.generate(mixed(engine, prompt), 12)[0] for prompt in prompts]
    assert [generation.text for generation in together] == [generation.text for generation in alone]
    assert len({generation.text for generation in together}) == 4
    assert all(generation.prefill_ms > 0 for generation in together)


def test_in_a_batch_each_answer_ends_by_itself():
    engine = tiny_engine()
    prompts = [random_ids(0), random_ids(1)]
    first, second = (greedy(engine, prompt, 8) for prompt in prompts)
    engine.stop_tokens = [first[3]]
    counts = [ids.index(first[3]) if first[3] in ids else 8 for ids in (first, second)]
    assert counts[0] != counts[1]
    generations = engine.generate(mixed(engine, *prompts), 8)
    assert [generation.completion_tokens for generation in generations] == counts


@TOKENIZERS
def test_a_stop_text_ends_each_answer_of_a_batch_and_is_no_part_of_it(kind):
    engine = tiny_engine(kind)
    prompts = [random_ids(seed, 6 + seed) for seed in range(3)]
    whole = [engine.generate(mixed(engine, prompt), 12)[0] for prompt in prompts]
    stop = whole[0].text[len(whole[0].text) // 2]
    stopped = engine.generate(mixed(engine, *prompts), 12, stop=stop)
    assert [one.text for one in stopped] == [one.text.partition(stop)[0].strip() for one in whole]
    assert 0 < stopped[0].completion_tokens < whole[0].completion_tokens
    pieces: list[str] = []
    (alone,) = engine.generate(mixed(engine, prompts[0]), 12, pieces.append, stop)
    assert "".join(pieces).strip() == alone.text == stopped[0].text
