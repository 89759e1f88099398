"""The cost model of docs/scaling.md against measurements, at three sizes each.

    python benchmarks/scaling.py [--runs 3]

For each kind of work: operations (or bytes) by the model and seconds as measured, both over those of the smallest size,
so that where the model holds the two agree. Seconds are the processor's with one thread.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import PreTrainedModel
from turns import Way, by_turns, finish, one_thread_clock, parser, ratio

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.engines.batch import Batch
from r2ag.engines.writing import Sampling, Writing
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.pipeline import Pipeline
from r2ag.types import Document

PROMPTS, BATCHES, PASSAGES = (250, 500, 1500), (1, 4, 16), (32, 64, 128)
PROMPT, STEPS, ANSWER = 300, 8, 8


def weights(llm: PreTrainedModel) -> tuple[int, int]:
    """P and V·h: weights of the layers, and of the head."""
    head = llm.get_output_embeddings().weight.numel()
    table = llm.get_input_embeddings().weight
    tied = table is llm.get_output_embeddings().weight
    return sum(p.numel() for p in llm.parameters()) - head - (0 if tied else table.numel()), head


def attention(llm: PreTrainedModel, tokens: int) -> float:
    """Operations of causal attention in all layers."""
    config = llm.config
    return 2 * tokens**2 * config.num_hidden_layers * config.hidden_size


def prefill_operations(llm: PreTrainedModel, tokens: int) -> float:
    """2nP + 2n²Lh + 2Vh."""
    layers, head = weights(llm)
    return 2 * tokens * layers + attention(llm, tokens) + 2 * head


def training_operations(llm: PreTrainedModel, tokens: int) -> float:
    """4nP + 6n²Lh + 4aVh: frozen weights need no gradient of their own."""
    layers, head = weights(llm)
    return 4 * tokens * layers + 3 * attention(llm, tokens) + 4 * ANSWER * head


def decode_bytes(llm: PreTrainedModel, rows: int) -> float:
    """One step: all weights once, and each row's keys and values."""
    config = llm.config
    size = config.hidden_size // config.num_attention_heads
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * size * PROMPT
    return 2 * (sum(weights(llm)) + rows * cache)


def decoding(reader: Reader, rows: int) -> Way:
    """`STEPS` steps of so many answers, each taken back behind a fresh copy of the prompts' keys and values."""
    llm, tokenizer = reader.model.llm, reader.tokenizer
    embeddings = llm.get_input_embeddings()(torch.randint(300, 40_000, (rows, PROMPT)))
    batch = Batch(llm)
    writing = [Writing(Sampling(10_000), tokenizer, [1]) for _ in range(rows)]
    batch.join(MixedEmbeddings(embeddings, torch.ones(rows, PROMPT, dtype=torch.long)), *writing)

    def steps() -> None:
        for _ in range(STEPS):
            batch.step()

    return steps


def training(llm: PreTrainedModel, tokens: int) -> Way:
    """Forward and backward to the prompt's embeddings."""
    embeddings = llm.get_input_embeddings()(torch.randint(300, 40_000, (1, tokens))).detach()

    def step() -> None:
        anchors = embeddings.clone().requires_grad_()
        llm(inputs_embeds=anchors, use_cache=False, logits_to_keep=ANSWER).logits.float().logsumexp(-1).sum().backward()

    return step


def encoding(encoder: FeatureEncoder, tokens: int) -> Way:
    """Sixteen passages of about so many tokens."""
    documents = [Document(f"{number} " + "bridge " * (tokens - 3)) for number in range(16)]
    return lambda: encoder.encode_documents(documents)


def prefill(llm: PreTrainedModel, tokens: int) -> Way:
    """One prompt."""
    embeddings = llm.get_input_embeddings()(torch.randint(300, 40_000, (1, tokens)))

    def read() -> None:
        with torch.inference_mode():
            llm(inputs_embeds=embeddings, use_cache=True, logits_to_keep=1)

    return read


def compare(sizes: tuple[int, ...], way: Callable[[int], Way], cost: Callable[[int], float], runs: int) -> object:
    """By size: what the model says and what was measured, over the smallest."""
    times = by_turns({str(size): way(size) for size in sizes}, runs, one_thread_clock())
    least = str(sizes[0])
    return {
        str(size): {"model": round(cost(size) / cost(sizes[0]), 2), "measured": ratio(times, str(size), least, 2)}
        for size in sizes[1:]
    }


def main() -> None:
    """Prints the comparisons."""
    options = parser(__doc__, runs=3).parse_args()
    runs = options.runs
    pipeline = Pipeline.from_pretrained()
    reader, llm = pipeline.reader, pipeline.reader.model.llm.requires_grad_(False)
    layers = pipeline.encoder.model[0].auto_model.encoder
    encoded = sum(p.numel() for p in layers.parameters())
    depth, width = len(layers.layer), pipeline.encoder.dimension
    results = {
        "prefill": compare(PROMPTS, lambda n: prefill(llm, n), lambda n: prefill_operations(llm, n), runs),
        "decode": compare(BATCHES, lambda rows: decoding(reader, rows), lambda rows: decode_bytes(llm, rows), runs),
        "training": compare(PROMPTS, lambda n: training(llm, n), lambda n: training_operations(llm, n), runs),
        "encoding": compare(
            PASSAGES,
            lambda n: encoding(pipeline.encoder, n),
            lambda n: 2 * n * encoded + 4 * n**2 * depth * width,
            runs,
        ),
    }
    finish("scaling", results, options)


if __name__ == "__main__":
    main()
