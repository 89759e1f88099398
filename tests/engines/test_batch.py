from __future__ import annotations

import pytest
import torch

from r2ag.engines.batch import Batch
from r2ag.engines.generation import Generation
from r2ag.engines.transformers import TransformersEngine
from r2ag.engines.writing import Sampling, Writing
from r2ag.errors import InputError
from r2ag.method.model import R2AGModel
from r2ag.method.prefix_cache import Openings
from r2ag.method.prompting import Prompt
from tests.engines.test_transformers import mixed, random_ids, tiny_engine
from tests.tiny import LLMS, tiny_llm, tiny_tokenizer

PROMPTS = [random_ids(seed, count) for seed, count in enumerate([3, 40, 17, 1, 25])]


def by_generate(engine: TransformersEngine, prompt: list[int], count: int) -> tuple[str, int, str]:
    """Text, number of tokens and finish reason of the answer that transformers' own `generate` gives."""
    read = mixed(engine, prompt)
    options = {"max_new_tokens": count, "eos_token_id": engine.stop_tokens, "pad_token_id": 0, "do_sample": False}
    ids = engine.llm.generate(inputs_embeds=read.embeddings, attention_mask=read.mask, **options)[0].tolist()
    written = [token for token in ids if token not in engine.stop_tokens]
    reason = "length" if len(written) == len(ids) else "stop"
    return engine.tokenizer.decode(written, skip_special_tokens=True).strip(), len(written), reason


def facts(generation: Generation) -> tuple[str, int, str]:
    return generation.text, generation.completion_tokens, generation.finish_reason


def new_row(engine: TransformersEngine, sampling: Sampling, pieces: list[str] | None = None) -> Writing:
    return Writing(sampling, engine.tokenizer, engine.stop_tokens, (pieces if pieces is not None else []).append)


def alone(engine: TransformersEngine, prompt: list[int], sampling: Sampling) -> Generation:
    batch, row = Batch(engine.llm), new_row(engine, sampling)
    batch.join(mixed(engine, prompt), row)
    while len(batch):
        batch.step()
    return row.generation()


@pytest.mark.parametrize("family", sorted(LLMS))
def test_rows_that_come_and_go_are_written_as_by_generate(family):
    """One joins at each step, so that all lengths of what is there and what comes meet; most leave before the last."""
    tokenizer = tiny_tokenizer()
    engine = TransformersEngine(tiny_llm(family, len(tokenizer)), tokenizer, 3)
    counts = [6, 24, 4, 9, 1]
    expected = [by_generate(engine, prompt, count) for prompt, count in zip(PROMPTS, counts, strict=True)]
    batch, rows = Batch(engine.llm), [new_row(engine, Sampling(count)) for count in counts]
    sizes = []
    for prompt, row in zip(PROMPTS, rows, strict=True):
        batch.join(mixed(engine, prompt), row)
        sizes.append(len(batch))
        batch.step()
    while len(batch):
        batch.step()
    assert [facts(row.generation()) for row in rows] == expected
    assert len({text for text, _, _ in expected}) > 3
    assert max(sizes) > 2


def test_prompts_that_join_together_are_written_as_alone():
    """So long that the room behind the columns is filled twice; one ends at its first token, others leave between."""
    engine = tiny_engine()
    engine.stop_tokens = []
    counts = [70, 1, 40, 5, 70]
    batch, rows = Batch(engine.llm), [new_row(engine, Sampling(count)) for count in counts]
    batch.join(mixed(engine, *PROMPTS[:3]), *rows[:3])
    batch.step()
    batch.join(mixed(engine, *PROMPTS[3:]), *rows[3:])
    assert len(batch) == 4
    while len(batch):
        batch.step()
    expected = [alone(engine, prompt, Sampling(count)) for prompt, count in zip(PROMPTS, counts, strict=True)]
    assert [row.generation().text for row in rows] == [generation.text for generation in expected]


def test_an_answer_that_is_dropped_changes_nothing_for_the_others():
    engine = tiny_engine()
    stays = 2
    expected = alone(engine, PROMPTS[stays], Sampling(20)).text
    batch, rows = Batch(engine.llm), [new_row(engine, Sampling(20)) for _ in PROMPTS]
    for prompt, row in zip(PROMPTS, rows, strict=True):
        batch.join(mixed(engine, prompt), row)
    for leaving in (0, 1, 3, 4):
        batch.step()
        batch.drop([rows[leaving]])
    # The others' columns went with them: as many are left as its prompt and what was written of its answer.
    assert batch._mask.shape == (1, len(PROMPTS[stays]) + 4)
    while len(batch):
        batch.step()
    assert rows[stays].generation().text == expected


def test_the_same_seed_draws_the_same_in_whatever_company():
    engine = tiny_engine()
    drawn = Sampling(12, temperature=1.0, seed=7)
    expected = alone(engine, PROMPTS[0], drawn).text
    greedy = alone(engine, PROMPTS[0], Sampling(12)).text
    batch = Batch(engine.llm)
    rows = [new_row(engine, drawn), new_row(engine, Sampling(12)), new_row(engine, Sampling(12, 1.0, seed=8))]
    for row in rows:
        batch.join(mixed(engine, PROMPTS[0]), row)
        batch.step()
    while len(batch):
        batch.step()
    texts = [row.generation().text for row in rows]
    assert texts[:2] == [expected, greedy]
    assert len(set(texts)) == 3


def test_without_a_seed_each_answer_is_another():
    engine = tiny_engine()
    assert len({alone(engine, PROMPTS[0], Sampling(12, temperature=1.0)).text for _ in range(4)}) > 1


def test_a_small_top_p_leaves_the_likeliest_token_alone():
    engine = tiny_engine()
    nearly_greedy = Sampling(12, temperature=1.0, top_p=1e-6, seed=1)
    assert alone(engine, PROMPTS[0], nearly_greedy).text == alone(engine, PROMPTS[0], Sampling(12)).text


@pytest.mark.parametrize("kind", ["bytes", "unigram", "wordpiece"])
def test_stop_texts_end_an_answer_and_no_piece_holds_part_of_one(kind):
    engine = tiny_engine(kind)
    whole = alone(engine, PROMPTS[1], Sampling(24)).text
    middle = len(whole) // 2
    stop = whole[middle : middle + 4]
    pieces: list[str] = []
    batch, row = Batch(engine.llm), new_row(engine, Sampling(24, stop=("never", stop)), pieces)
    batch.join(mixed(engine, PROMPTS[1]), row)
    while len(batch):
        batch.step()
    generation = row.generation()
    assert generation.text == whole.partition(stop)[0].rstrip() == "".join(pieces)
    assert generation.finish_reason == "stop"
    assert len(pieces) > 1


def test_pieces_make_the_text_and_none_ends_within_a_character():
    engine = tiny_engine()
    bridge = engine.tokenizer.encode("橋é 橋", add_special_tokens=False)
    pieces: list[str] = []
    row = new_row(engine, Sampling(len(bridge)), pieces)
    for token in bridge:
        row.take(token)
    assert row.generation().text == "橋é 橋"
    assert pieces == ["橋", "é", " 橋"]


def test_layers_that_keep_more_than_keys_and_values_are_refused():
    llm = tiny_llm()
    llm.config.layer_types = ["full_attention", "linear_attention"]
    with pytest.raises(InputError, match="layers of the kind linear_attention"):
        Batch(llm)


def test_padding_is_of_no_weight():
    """Left to itself, a row that joined a longer one is as it was without it."""
    engine = tiny_engine()
    batch, rows = Batch(engine.llm), [new_row(engine, Sampling(30)), new_row(engine, Sampling(30))]
    batch.join(mixed(engine, PROMPTS[1]), rows[0])
    batch.join(mixed(engine, PROMPTS[3]), rows[1])
    assert torch.equal(batch._mask.sum(dim=-1), torch.tensor([40, 1]))
    batch.drop(rows[:1])
    assert batch._mask.tolist() == [[1]]


@pytest.mark.parametrize("family", sorted(LLMS))
def test_openings_change_no_answer(family):
    """Two kinds of prompts join by turns, padded or not; what they begin with is read once each."""
    tokenizer = tiny_tokenizer()
    engine = TransformersEngine(tiny_llm(family, len(tokenizer)), tokenizer, 3)
    openings = [random_ids(seed, 20 + seed) for seed in (7, 8)]
    prompts = [openings[number % 2] + prompt for number, prompt in enumerate(PROMPTS)]
    expected = [by_generate(engine, prompt, 9)[0] for prompt in prompts]
    known = [Prompt(tuple(prompt), (), opening=len(openings[number % 2])) for number, prompt in enumerate(prompts)]
    model = R2AGModel(engine.llm, torch.nn.Module())
    read = []
    engine.llm.register_forward_pre_hook(lambda _, __, given: read.append(given.get("inputs_embeds")), with_kwargs=True)
    kept = Openings(engine.llm)
    batch, rows = Batch(engine.llm, kept), [new_row(engine, Sampling(9)) for _ in known]
    batch.join(model.embed(known[:3], None), *rows[:3])
    batch.step()
    batch.join(model.embed(known[3:], None), *rows[3:])
    while len(batch):
        batch.step()
    assert [row.generation().text for row in rows] == expected
    lengths = [embeddings.shape[1] for embeddings in read if embeddings is not None]
    assert [lengths.count(len(opening)) for opening in openings] == [1, 1]
