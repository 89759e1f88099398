"""A training step in our ways against the published recipe's, on the same lists: records a second and peak memory.

    python benchmarks/training.py --data records.jsonl.gz [--vectors runs/vectors] [--records 12] [--turns 2]

published   the documents are encoded again at each step, every prompt is padded to the longest of the run, logits are
            computed at all positions, and attention is transformers' own
ours        cached vectors, no padding, logits that predict the target alone, the attention that is fast on this CPU
recompute   ours with --gradient-checkpointing

Both have one list at a time, the frozen LLM in its usual dtype, and an AdamW step every eight lists. Each way runs in a
process of its own; memory is also given without what the models and vectors take before the first step. Beside what was
measured stands the ratio of operations, by the formulas of docs/scaling.md: more than that is not to be had where every
operation takes as long.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from scaling import attention, weights
from turns import finish, one_thread_clock, parser, peak_megabytes, ratio, spread, timed

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.method.model import IGNORED, R2AGModel
from r2ag.method.prompting import Prompt
from r2ag.pipeline import Pipeline
from r2ag.records import read_records
from r2ag.records.split import sample
from r2ag.records.vectors import describe_records
from r2ag.training.collator import Collator
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import DescribedRecord, ListSampler, TrainingList
from r2ag.training.objective import TrainingModel
from r2ag.training.recompute import recompute_layers

WAYS = ("published", "ours", "recompute")


def published_loss(model: R2AGModel, batch: dict, longest: int) -> torch.Tensor:
    """L_QDM + L_LM with the prompt and its target padded to `longest`, and logits everywhere."""
    (prompt,), (target,) = batch["prompts"], batch["targets"]
    output = model.describe(batch["features"], batch["mask"])
    mixed = model.embed([prompt], output.anchors, [target])
    pad = longest - mixed.embeddings.shape[1]
    mask = F.pad(mixed.mask, (pad, 0))
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model.llm(
        inputs_embeds=F.pad(mixed.embeddings, (0, 0, pad, 0)),
        attention_mask=mask,
        position_ids=positions,
        use_cache=False,
    ).logits.float()
    labels = torch.full((longest,), IGNORED)
    labels[-len(target) :] = torch.tensor(target)
    matching = F.binary_cross_entropy_with_logits(output.logits, batch["relevant"])
    return matching + F.cross_entropy(logits[0, :-1], labels[1:], ignore_index=IGNORED)


def operations(model: R2AGModel, encoder: FeatureEncoder, batches: list[dict], drawn: list[TrainingList]) -> float:
    """Those of the published way over ours: prompts, their attention, logits, and what encodes documents again."""
    layers, head = weights(model.llm)
    encoding = sum(p.numel() for p in encoder.model[0].auto_model.encoder.parameters())
    longest = max(map(_length, batches))
    published = ours = 0.0
    for batch, one in zip(batches, drawn, strict=True):
        length, opening = _length(batch), batch["prompts"][0].opening
        words = sum(encoder.count_tokens(document.passage) for document in one.ranked.documents)
        published += 4 * longest * (layers + head) + 3 * attention(model.llm, longest) + 2 * words * encoding
        ours += 4 * (length - opening) * layers + 4 * len(batch["targets"][0]) * head
        ours += 3 * (attention(model.llm, length) - attention(model.llm, opening))
    return published / ours


def run(options: argparse.Namespace) -> dict[str, object]:
    """One way, in this process."""
    torch.manual_seed(0)
    pipeline = Pipeline.from_pretrained()
    reader, encoder, config = pipeline.reader, pipeline.encoder, TrainingConfig(long_lists=0.0, without_relevant=0.0)
    records = sample(read_records(options.data), options.records)
    lists = describe_records(encoder, records, options.vectors)
    described = [DescribedRecord(record, ranked) for record, ranked in zip(records, lists, strict=True)]

    names = reader.adapter.config.former.features
    mean = torch.zeros(len(names))
    collator = Collator(reader.builder, encoder.similarity, names, mean, config.max_prompt_tokens)
    sampler = ListSampler(described, config, reader.adapter.config.former.max_documents, collator.fits)
    drawn = [sampler.draw(index, 0) for index in range(len(records))]
    drawn = [one for one in drawn if collator([one])["prompts"][0] is not None]
    batches = [collator([one]) for one in drawn]
    longest = max(map(_length, batches))
    model = reader.model
    model.llm.requires_grad_(False)
    ours = TrainingModel(model)
    if options.way == "recompute":
        recompute_layers(model.llm)
    if options.way == "published":
        model.llm.set_attn_implementation("sdpa")
        model.llm.get_output_embeddings()._forward_pre_hooks.clear()
    optimizer = torch.optim.AdamW(model.former.parameters(), lr=0.0)
    losses: list[float] = []

    def epoch() -> None:
        for number, one in enumerate(drawn, start=1):
            if options.way == "published":
                encoder.describe(one.ranked.question, one.ranked.documents)
                loss = published_loss(model, collator([one]), longest)
            else:
                loss = ours(**collator([one]))["loss"]
            loss.backward()
            losses.append(loss.item())
            if number % config.batch_size == 0:
                optimizer.step()
                optimizer.zero_grad()

    before = peak_megabytes()
    taken, _ = timed(epoch, one_thread_clock())
    return {
        "records_a_second": len(drawn) / taken,
        "peak_mb": peak_megabytes(),
        "steps_mb": peak_megabytes() - before,
        "losses": losses,
        "tokens": [_length(batch) for batch in batches],
        "operations": operations(model, encoder, batches, drawn),
    }


def _length(batch: dict) -> int:
    (prompt,), (target,) = batch["prompts"], batch["targets"]
    assert isinstance(prompt, Prompt)
    return len(prompt.ids) + len(target)


def main() -> None:
    """Runs the ways by turns."""
    arguments = parser(__doc__, records=12, turns=2)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--vectors", type=Path)
    arguments.add_argument("--way", choices=WAYS, help="runs this one here")
    options = arguments.parse_args()
    if options.way:
        print(json.dumps(run(options)))
        return
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for turn in range(options.turns):
        for way in WAYS if turn % 2 else WAYS[::-1]:
            child = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--way", way], check=True, stdout=subprocess.PIPE, text=True
            )
            found[way].append(json.loads(child.stdout.splitlines()[-1]))

    def figures(key: str) -> dict[str, list[float]]:
        return {way: [one[key] for one in found[way]] for way in WAYS}

    losses = [found[way][0]["losses"] for way in WAYS]
    keys = {"records_a_second": "records_a_second", "peak_memory": "peak_mb", "memory_of_steps": "steps_mb"}
    result: dict[str, object] = {
        way: {name: ratio(figures(key), way, "published") for name, key in keys.items()} for way in WAYS[1:]
    }
    result |= {
        "megabytes": {way: spread(values, 0) for way, values in figures("peak_mb").items()},
        "tokens": spread(found["ours"][0]["tokens"], 0),
        "operations_of_the_published_way_over_ours": round(found["ours"][0]["operations"], 2),
        "largest_difference_of_losses": round(max(max(each) - min(each) for each in zip(*losses, strict=True)), 3),
    }
    finish("training", result, options)


if __name__ == "__main__":
    main()
