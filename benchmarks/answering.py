"""Every step of an answer against what it can be compared with, in one process and by turns.

    python benchmarks/answering.py [--parts former,prompt,opening,prefill,decode,batch,pruned] [--runs 5] [--k 10]

former   batch_over_one       R²-Former and features of 16 lists at once, over one list after the other
prompt   over_tokenising      building a prompt, over the bare tokenizer on its documents' text
opening  kept_over_whole      whole answers whose prompt's opening has been read before, over prompts read whole
prefill  floor_over_prefill   what the model's bare matrix products take, over the whole prefill (goal .7)
decode   floor_over_decode    the bare products of one token, over a whole step of generation
batch    one_over_batch       answers one at a time over 16 at a time (goal 3), the ceiling, and the share of equal ones
pruned   pruned_over_plain    whole answers, pruned R²AG over plain RAG on the same k documents (goal .6)

The floor of prefill multiplies random input by every weight matrix, and adds attention's operations, halved by
causality, at the rate that these products reached. The ceiling of batches is what one at a time takes over what
it takes without decoding, for 16 prompts are 16 times the operations of one. With one thread, times are of processor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from turns import by_turns, finish, one_thread_clock, parser, ratio, sample_lists, spread

from r2ag.answering.answers import Retrieved
from r2ag.answering.reader import Reader
from r2ag.engines.generation import Generation
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.pipeline import Pipeline

BATCH = 16
NEVER = 1  # the token that opens a chat turn: no answer holds it, so that every answer has all its tokens
DECODED = 16
SHORT = 100


def layer_weights(llm: PreTrainedModel) -> list[torch.Tensor]:
    """Matrices that every token meets: all but embeddings and head."""
    head = llm.get_output_embeddings()
    return [m.weight for m in llm.modules() if isinstance(m, nn.Linear) and m is not head]


def multiply(weights: list[torch.Tensor], inputs: dict[int, torch.Tensor]) -> None:
    """The bare products; `inputs` are by width."""
    for weight in weights:
        F.linear(inputs[weight.shape[1]], weight)


def multiply_a_row(weights: list[torch.Tensor], inputs: dict[int, torch.Tensor]) -> None:
    """The bare products of a single token, without oneDNN, as r2ag.models.cpu has them."""
    with torch.backends.mkldnn.flags(enabled=False):
        multiply(weights, inputs)


def inputs_for(weights: list[torch.Tensor], tokens: int) -> dict[int, torch.Tensor]:
    """Random input of each width."""
    return {width: torch.randn(tokens, width, dtype=weights[0].dtype) for width in {w.shape[1] for w in weights}}


def attention_share(llm: PreTrainedModel, weights: list[torch.Tensor], tokens: int) -> float:
    """Causal attention's operations over those of the weights."""
    config = llm.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 4 * (tokens**2 / 2) * config.num_attention_heads * size * config.num_hidden_layers
    return attention / (2 * tokens * sum(weight.numel() for weight in weights))


def prefill(reader: Reader, found: list[Retrieved], runs: int) -> dict[str, object]:
    """At some lengths."""
    llm, results = reader.model.llm, {}
    weights = layer_weights(llm)
    for tokens in (500, 1500):
        embeddings = llm.get_input_embeddings()(torch.randint(300, 40_000, (1, tokens)))
        inputs = inputs_for(weights, tokens)
        times = by_turns(
            {
                "prefill": lambda read=embeddings: llm(inputs_embeds=read, use_cache=True, logits_to_keep=1),
                "floor": lambda given=inputs: multiply(weights, given),
            },
            runs,
            one_thread_clock(),
        )
        share = attention_share(llm, weights, tokens)
        operations = 2 * tokens * sum(weight.numel() for weight in weights)
        results[str(tokens)] = {
            "floor_over_prefill": spread(
                [(1 + share) * f / p for f, p in zip(times["floor"], times["prefill"], strict=True)], 3
            ),
            "attention_over_weights": round(share, 3),
            "gigaflops_of_bare_products": spread([operations / 1e9 / taken for taken in times["floor"]], 0),
        }
    return results


def decode(reader: Reader, found: list[Retrieved], runs: int) -> dict[str, object]:
    """Steps behind a prompt of some length."""
    llm, engine = reader.model.llm, reader.engine
    weights = [*layer_weights(llm), llm.get_output_embeddings().weight]
    inputs = inputs_for(weights, 1)
    prompt = llm.get_input_embeddings()(torch.randint(300, 40_000, (1, 300)))
    mixed = MixedEmbeddings(prompt, torch.ones(1, 300, dtype=torch.long))
    stop, engine.stop_tokens = engine.stop_tokens, [NEVER]
    times = by_turns(
        {
            "all": lambda: engine.generate(mixed, DECODED),
            "first": lambda: engine.generate(mixed, 1),
            "floor": lambda: multiply_a_row(weights, inputs),
        },
        runs,
        one_thread_clock(),
    )
    engine.stop_tokens = stop
    steps = [(a - f) / (DECODED - 1) for a, f in zip(times["all"], times["first"], strict=True)]
    return {
        "floor_over_decode": spread([f / d for f, d in zip(times["floor"], steps, strict=True)], 3),
        "gigabytes_a_second_of_bare_products": spread([_bytes(weights) / 1e9 / t for t in times["floor"]], 1),
    }


def _bytes(weights: list[torch.Tensor]) -> int:
    return sum(weight.numel() * weight.element_size() for weight in weights)


def batch(reader: Reader, found: list[Retrieved], runs: int) -> dict[str, object]:
    """Questions with three of their documents and answers of some words, of like length, and then prompts of `SHORT`
    tokens with answers of 32; 16 at a time and one by one."""
    lists = [question.ranked.reordered(part) for part in ([0, 1, 2], [3, 4, 5]) for question in found]
    lists = sorted(lists, key=lambda ranked: sum(len(d.passage) for d in ranked.documents))[:BATCH]
    prompts, questions = reader.mix(lists, reader.assess(lists), 32)
    ids = torch.randint(300, 40_000, (BATCH, SHORT), generator=torch.Generator().manual_seed(0))
    short = MixedEmbeddings(reader.model.llm.get_input_embeddings()(ids), torch.ones_like(ids))
    results = {"questions": _batched(reader, questions, max(2, runs // 2), reader.builder.template.stop)}
    stop, reader.engine.stop_tokens = reader.engine.stop_tokens, [NEVER]
    results[f"{SHORT} tokens, 32 new"] = _batched(reader, short, max(2, runs // 2))
    reader.engine.stop_tokens = stop
    results["questions"] |= {"prompt_tokens": spread([len(prompt.ids) for prompt in prompts], 0)}
    return results


def _batched(reader: Reader, mixed: MixedEmbeddings, runs: int, stop: str = "") -> dict[str, object]:
    alone = [_row(mixed, index) for index in range(BATCH)]
    made: dict[str, list[Generation]] = {}

    def write(name: str, prompts: list[MixedEmbeddings]) -> None:
        made[name] = [written for prompt in prompts for written in reader.engine.generate(prompt, 32, stop=stop)]

    ways = {"one": lambda: write("one", alone), "sixteen": lambda: write("sixteen", [mixed])}
    times = by_turns(ways, runs, one_thread_clock(), warm=0)
    reading = sum(answer.prefill_ms for answer in made["one"])
    writing = sum(answer.decode_ms for answer in made["one"])
    same = [one.text == other.text for one, other in zip(made["one"], made["sixteen"], strict=True)]
    return {
        "one_over_batch": ratio(times, "one", "sixteen"),
        "ceiling": round((reading + writing) / reading, 2),
        "equal": round(sum(same) / len(same), 3),
        "new_tokens": spread([answer.completion_tokens for answer in made["one"]], 0),
    }


def _row(mixed: MixedEmbeddings, index: int) -> MixedEmbeddings:
    start = int(mixed.mask[index].argmax())
    return MixedEmbeddings(mixed.embeddings[index : index + 1, start:], mixed.mask[index : index + 1, start:])


def former(reader: Reader, found: list[Retrieved], runs: int) -> dict[str, object]:
    """Features and R²-Former."""
    lists = [question.ranked for question in found][:BATCH]
    times = by_turns(
        {"batch": lambda: reader.assess(lists), "one by one": lambda: [reader.assess([one]) for one in lists]},
        4 * runs,
        one_thread_clock(),
    )
    return {"batch_over_one": ratio(times, "batch", "one by one")}


def prompt(reader: Reader, found: list[Retrieved], runs: int) -> dict[str, object]:
    """Prompt building."""
    (ranked, *_) = [question.ranked for question in found]
    text = "".join(document.passage for document in ranked.documents)
    times = by_turns(
        {
            "build": lambda: reader.prompt(ranked.question, ranked.documents, 32),
            "tokenise": lambda: reader.tokenizer(text),
        },
        4 * runs,
        one_thread_clock(),
    )
    return {"over_tokenising": ratio(times, "build", "tokenise")}


def opening(reader: Reader, found: list[Retrieved], runs: int) -> dict[str, object]:
    """Answers from some numbers of documents, and the share of equal ones."""
    results: dict[str, object] = {}
    for documents in (1, 3, 10):
        ratios, same, tokens = [], [], []
        for turn, question in enumerate(found[: 2 * runs + 1]):
            ranked = question.ranked.reordered(list(range(min(documents, len(question.ranked)))))
            (prompt,), mixed = reader.mix([ranked], reader.assess([ranked]), 32)
            whole = replace(mixed, openings=())
            written: dict[str, str] = {}

            def write(name: str, read: MixedEmbeddings, written: dict[str, str] = written) -> None:
                (answer,) = reader.engine.generate(read, 32, stop=reader.builder.template.stop)
                written[name] = answer.text

            ways = {
                "kept": lambda read=mixed: write("kept", read),
                "whole": lambda read=whole: write("whole", read),
            }
            times = by_turns(ways, 1, one_thread_clock(), warm=int(turn == 0))
            ratios.append(times["kept"][0] / times["whole"][0])
            same.append(written["kept"] == written["whole"])
            tokens.append(len(prompt))
        results[f"{documents} documents"] = {
            "kept_over_whole": spread(ratios, 3),
            "prompt_tokens": spread(tokens, 0),
            "opening_tokens": prompt.opening,
            "equal": round(sum(same) / len(same), 3),
        }
    return results


def pruned(pipeline: Pipeline, found: list[Retrieved], runs: int) -> dict[str, object]:
    """Whole answers, both sides with their own prompt and end."""
    ratios, read = [], []
    for turn, question in enumerate(found[: 2 * runs + 1]):
        given: dict[str, Callable[[], object]] = {
            "pruned": lambda q=question: pipeline.answer(q, abstain=False),
            "plain": lambda q=question: pipeline.ask_plain(q),
        }
        times = by_turns(given, 1, one_thread_clock(), warm=int(turn == 0))
        ratios.append(times["pruned"][0] / times["plain"][0])
        read.append(len(pipeline.assess(question, abstain=False).keep))
    return {"pruned_over_plain": spread(ratios, 3), "documents_read": spread(read, 1)}


PARTS = {"former": former, "prompt": prompt, "opening": opening, "prefill": prefill, "decode": decode, "batch": batch}


def main() -> None:
    """Measures the parts that were asked for."""
    arguments = parser(__doc__, runs=5, k=10)
    arguments.add_argument("--parts", default=",".join([*PARTS, "pruned"]))
    options = arguments.parse_args()
    pipeline = Pipeline.from_pretrained()
    found = sample_lists(pipeline, options.k)
    results: dict[str, object] = {"threads": torch.get_num_threads(), "dtype": str(pipeline.reader.model.llm.dtype)}
    with torch.inference_mode():
        for part in options.parts.split(","):
            given = pipeline if part == "pruned" else pipeline.reader
            results[part] = (PARTS | {"pruned": pruned})[part](given, found, options.runs)
    finish("answering", results, options)


if __name__ == "__main__":
    main()
