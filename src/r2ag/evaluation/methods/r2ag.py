"""R²AG, its variants, and the controls that put other embeddings into the prompt.

`r2ag` reads all documents. `r2ag-permuted` is given each document's features for another one; `r2ag-permuted:N` reads
the very documents of `r2ag+top:N`, so that only the anchors differ. `r2ag-gold` is told the gold labels in place of the
head's probabilities: an upper bound, for adapters with a relevance direction. `r2ag+prune` reads the documents that
pass the adapter's pruning threshold, `r2ag+prune:T` those of probability T or more, `r2ag+top:N` the N most probable;
each reads one at least. `r2ag+abstain` gives no answer where nothing passes the threshold for that. `r2ag+raft` has an
LLM that was trained with it, and reads all documents, or as `r2ag+raft:T` those of probability T or more.

`learned-tokens=ADAPTER_FOLDER` is the control whose anchors know a document's rank and none of its features;
`learned-tokens:N=…` reads the first N documents.

`xrag=ADAPTER_FOLDER` puts each document's vector, projected into the LLM, in place of its text (arXiv 2405.13792);
`xrag:N=…` reads the first N documents; the paper's reads one. An approximation: the vectors are those of the adapter's
feature encoder, and the projector learns from answers alone, while the paper's has first learned to say what a document
says, from two million passages.

`r2ag-words` writes the relevance that R²AG computes into the prompt as words; ours, not the paper's. It is for LLMs
that take no embeddings, as closed ones through `r2ag-words=MODEL@URL`, and a control: what E^R gives beyond what a
sentence could say.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from r2ag.answering.reader import Assessment, Reader, Reading
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.evaluation.methods import Prediction, Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings, described
from r2ag.evaluation.methods.refined import Refined, Refinement, refined_rag
from r2ag.method.calibration import Calibration, keep_relevant
from r2ag.method.templates import plain_template, with_match_words
from r2ag.types import Document, RankedList

Choice = Callable[[Sequence[float]], Sequence[int]]
"""Probabilities of a list to the indices of the documents to read, in list order; none means no answer."""
LEVELS = ((0.8, "very good"), (0.5, "good"), (0.2, "fair"), (0.05, "poor"), (0.0, "very poor"))


@dataclass(frozen=True)
class R2AG:
    """Assesses each list, chooses what to read, and reads it.

    With a `permutation_seed` the anchors come from permuted features, the choice from true ones. With an `encoder`
    lists are described by it first.
    """

    name: str
    reader: Reader
    max_new_tokens: int
    settings: Mapping[str, Any]
    choose: Choice
    permutation_seed: int | None = None
    told_labels: bool = False
    encoder: FeatureEncoder | None = None

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """Lists without anything to read are abstained from."""
        lists = described(lists, self.encoder)
        started = time.perf_counter()
        assessment = self.reader.assess(lists, relevance=gold_labels(lists) if self.told_labels else None)
        keep = [self.choose(probabilities) for probabilities in assessment.probabilities]
        if self.permutation_seed is not None:
            assessment = self.reader.assess(lists, derangements(lists, self.permutation_seed))
        readings = self._read(lists, assessment, keep)
        seconds = (time.perf_counter() - started) / len(lists)
        predictions = []
        for row, indices in enumerate(keep):
            if row not in readings:
                predictions.append(Prediction("", 0, 0, seconds, 0, abstained=True))
                continue
            said, prompt = readings[row].generation, readings[row].prompt
            predictions.append(Prediction(said.text, len(prompt), said.completion_tokens, seconds, len(indices)))
        return predictions

    def _read(
        self, lists: Sequence[RankedList], assessment: Assessment, keep: Sequence[Sequence[int]]
    ) -> dict[int, Reading]:
        """Readings by their list's place."""
        rows = [row for row, indices in enumerate(keep) if indices]
        if not rows:
            return {}
        readings = self.reader.read(
            [lists[row] for row in rows],
            replace(assessment, anchors=assessment.anchors[rows]),
            self.max_new_tokens,
            keep=[keep[row] for row in rows],
        )
        return dict(zip(rows, readings, strict=True))


def derangements(lists: Sequence[RankedList], seed: int) -> Tensor:
    """For each list a permutation that leaves no document its own features (a single document keeps them).

    It depends on the seed and the question alone, not on the batch; indices behind a list's end stay where they are.
    """
    longest = max(len(ranked) for ranked in lists)
    rows = [_cycle(len(ranked), random.Random(f"{seed}:{ranked.question}")) for ranked in lists]
    return torch.tensor([[*row, *range(len(row), longest)] for row in rows])


def gold_labels(lists: Sequence[RankedList]) -> Tensor:
    """1 for relevant documents, else 0, (batch, k)."""
    labels = [torch.tensor([float(bool(document.relevant)) for document in ranked.documents]) for ranked in lists]
    return torch.nn.utils.rnn.pad_sequence(labels, batch_first=True)


def _cycle(length: int, generator: random.Random) -> list[int]:
    """Sattolo's algorithm: a permutation of one single cycle, so that nothing stays in its place."""
    order = list(range(length))
    for last in range(length - 1, 0, -1):
        other = generator.randrange(last)
        order[last], order[other] = order[other], order[last]
    return order


def _choice(spec: Spec, calibration: Calibration) -> Choice:
    if spec.base == "r2ag+top" or (spec.base == "r2ag-permuted" and spec.argument):
        count = spec.count()
        return lambda probabilities: _most_probable(probabilities, count)
    if spec.base == "r2ag+prune" or (spec.base == "r2ag+raft" and spec.argument):
        share = spec.share() if spec.argument else calibration.prune_threshold
        return lambda probabilities: keep_relevant(probabilities, share)
    spec.refuse_argument()
    least = calibration.threshold if spec.base == "r2ag+abstain" else 0.0
    return lambda probabilities: range(len(probabilities)) if max(probabilities) >= least else ()


def _most_probable(probabilities: Sequence[float], count: int) -> list[int]:
    return sorted(sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[:count])


def _with_anchors(spec: Spec, bench: Bench, choose: Choice) -> R2AG:
    """A method that puts an adapter's anchors into its prompt."""
    reader = bench.reader(spec.folder)
    seed = bench.seed if spec.base == "r2ag-permuted" else None
    settings = bench.base_settings() | bench.encoder_settings(spec.folder) | adapter_settings(reader.adapter)
    settings |= {"method": [spec.base, spec.argument], "permutation_seed": seed}
    told, encoder = spec.base == "r2ag-gold", bench.own_encoder(spec.folder)
    return R2AG(spec.name, reader, bench.max_new_tokens, settings, choose, seed, told, encoder)


def control(spec: Spec, bench: Bench) -> R2AG:
    """`learned-tokens` and `xrag`: read all documents, or as many of the first as the argument says.

    Raises:
        InputError: the adapter was trained for another method.
    """
    count = spec.optional_count()
    if bench.reader(spec.folder).adapter.config.method != spec.base:
        called = {"xrag": "xRAG"}.get(spec.base, "learned tokens")
        raise InputError(f"The method {spec} needs an adapter of {called}, as {spec.base}=ADAPTER_FOLDER.")
    return _with_anchors(spec, bench, lambda probabilities: range(len(probabilities))[:count])


def create(spec: Spec, bench: Bench) -> R2AG:
    """Any of the variants that the registry names.

    Raises:
        InputError: the adapter was trained for another method.
    """
    adapter = bench.reader(spec.folder).adapter
    if adapter.config.method != "r2ag":
        raise InputError(
            f"The method {spec} needs an R²AG adapter, and this one holds {adapter.config.method}; name another folder."
        )
    if spec.base == "r2ag+raft" and adapter.llm_lora is None:
        raise InputError(f"The method {spec} needs an adapter with a LoRA of the LLM, as {spec.base}=ADAPTER_FOLDER.")
    if spec.base == "r2ag-gold" and not adapter.config.former.relevance_direction:
        raise InputError(f"The method {spec} needs an adapter that was trained with --relevance-direction.")
    return _with_anchors(spec, bench, _choice(spec, adapter.config.calibration))


def in_words(probability: float) -> str:
    """A probability of relevance as people say it, with its figure."""
    level = next(words for least, words in LEVELS if probability >= least)
    return f"{level} ({probability:.2f})"


def words(spec: Spec, bench: Bench) -> Refined:
    """Reads all documents, by the base LLM or a server's, with the prompt that the adapter's training records chose.

    Raises:
        InputError: the adapter has no relevance head.
    """
    spec.refuse_argument()
    folder = "" if spec.server() else spec.folder
    reader = bench.reader(folder)
    if reader.adapter.config.method != "r2ag":
        raise InputError(f"The method {spec} needs an R²AG adapter, which says how relevant documents are.")

    def refine(ranked: RankedList) -> Refinement:
        probabilities = reader.assess([ranked]).probabilities[0]
        told = [
            Document(f"Match: {in_words(probability)}. {document.passage}")
            for document, probability in zip(ranked.documents, probabilities, strict=True)
        ]
        return Refinement(tuple(told), len(told))

    settings = bench.encoder_settings(folder) | {"relevance": adapter_settings(reader.adapter)["adapter"]}
    template = with_match_words(plain_template(reader.adapter.config.plain_prompt))
    return refined_rag(spec, bench, refine, settings, template, bench.own_encoder(folder))
