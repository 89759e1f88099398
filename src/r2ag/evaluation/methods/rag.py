"""Plain RAG, and the baselines that differ from it by which documents they read, or by the LLM.

- `rag`, `rag:FAMILY` reads all documents; `rag=MODEL@URL` by a server's LLM.
- `rag-topn`, `rag-topn:N` reads the N documents nearest to the question.
- `cutoff:T` reads the documents whose cosine with the question is T or more, and the nearest one at least. This is what
  most RAG frameworks offer as a score threshold; exact.
- `rerank:N=MODEL`: a cross-encoder reads each document with the question (Nogueira and Cho, 2019, arXiv 1901.04085; any
  of sentence-transformers'; exact). The N best are read, the best first.
- `cot`: zero-shot chain of thought (Kojima et al., 2022, arXiv 2205.11916) over all documents. An approximation: the
  published method asks twice, first for the reasoning and then for the answer behind it. Here, as in the comparison of
  the R²AG paper, one generation with everybody's limit of new tokens holds both, and metrics look for the answer in all
  of it.
- `raft=ADAPTER_FOLDER`: plain RAG by an LLM that was trained, through a LoRA, to answer from such lists;
  `raft:N=ADAPTER_FOLDER` reads the N documents nearest to the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from r2ag.encoder.encoder import weights_digest
from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings
from r2ag.evaluation.methods.refined import (
    LocalLLM,
    Refined,
    Refinement,
    chosen_template,
    everything,
    refined_rag,
    selected,
)
from r2ag.method.calibration import keep_relevant
from r2ag.method.prompting import PromptTemplate
from r2ag.method.templates import plain_template, thinking
from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores
from r2ag.types import RankedList


def nearest(ranked: RankedList, count: int | None) -> list[int]:
    """Indices of the `count` documents most similar to the question (None: of all), in list order.

    A shuffled list so loses the same documents as a ranked one.
    """
    scores = ranked.document_vectors @ ranked.query_vector
    return sorted(np.argsort(-scores, kind="stable")[:count].tolist())


def cosines(ranked: RankedList) -> list[float]:
    """Of each document with the question, whatever the encoder's own similarity is."""
    lengths = np.linalg.norm(ranked.document_vectors, axis=1) * np.linalg.norm(ranked.query_vector)
    products = ranked.document_vectors @ ranked.query_vector
    return [float(value) for value in products / np.maximum(lengths, 1e-12)]


def top_n_settings(bench: Bench, top_n: int | None) -> dict[str, Any]:
    """What the choice of the nearest depends on: their number and, where there is one, whose vectors tell."""
    return {"top_n": top_n} | ({} if top_n is None else bench.encoder_settings())


def plain_rag(spec: Spec, family: str, bench: Bench, top_n: int | None = None) -> Refined:
    """Plain RAG by the base LLM with a family's prompt."""
    template = plain_template(family)
    return _of_nearest(spec, bench, template, {"template": asdict(template)}, top_n)


def rag(spec: Spec, bench: Bench) -> Refined:
    """With the prompt family named, or the one that training records chose."""
    if spec.server():
        template = plain_template(spec.argument) if spec.argument else None
        return refined_rag(spec, bench, everything, {}, template)
    return plain_rag(spec, spec.argument or bench.reader(spec.folder).adapter.config.plain_prompt, bench)


def rag_topn(spec: Spec, bench: Bench) -> Refined:
    """With the N and the prompt that training records chose, or another N."""
    config = bench.reader(spec.folder).adapter.config
    return plain_rag(spec, config.plain_prompt, bench, spec.optional_count() or config.plain_top_n)


def raft(spec: Spec, bench: Bench) -> Refined:
    """With the prompt that the LLM was trained on.

    Raises:
        InputError: the adapter was trained for another method.
    """
    top_n = spec.optional_count()
    adapter = bench.reader(spec.folder).adapter
    if adapter.config.method != "raft":
        raise InputError(f"The method {spec} needs an adapter of RAFT, as {spec.base}=ADAPTER_FOLDER.")
    return _of_nearest(spec, bench, adapter.config.template, adapter_settings(adapter), top_n, spec.folder)


def cot(spec: Spec, bench: Bench) -> Refined:
    """With the words of the prompt that training records chose, which then asks for reasoning."""
    spec.refuse_argument()
    return refined_rag(spec, bench, everything, {}, thinking(chosen_template(bench)))


def cutoff(spec: Spec, bench: Bench) -> Refined:
    """The documents stay in the list's order.

    Raises:
        InputError: T is no number from 0 to 1.
    """
    threshold = spec.share()

    def refine(ranked: RankedList) -> Refinement:
        return selected(ranked, keep_relevant(cosines(ranked), threshold))

    return refined_rag(spec, bench, refine, bench.encoder_settings())


def rerank(spec: Spec, bench: Bench) -> Refined:
    """Ties stay in the list's order.

    Raises:
        InputError: N or the model is missing or can't be used.
    """
    count = spec.count()
    if not spec.folder:
        raise InputError(
            f"The method {spec} needs a cross-encoder, as {spec.base}:{count}=MODEL with a folder or a hub name such "
            "as cross-encoder/ms-marco-MiniLM-L6-v2; none comes with r2ag."
        )
    model = load_cross_encoder(spec.folder)

    def refine(ranked: RankedList) -> Refinement:
        scores = relevance_scores(model, ranked.question, ranked.documents)
        return selected(ranked, np.argsort(-scores, kind="stable")[:count].tolist())

    return refined_rag(spec, bench, refine, {"cross_encoder": weights_digest(model)})


def _of_nearest(
    spec: Spec,
    bench: Bench,
    template: PromptTemplate,
    settings: Mapping[str, Any],
    top_n: int | None,
    folder: str | None = None,
) -> Refined:
    """All documents, or the nearest, read by the base LLM or by the one of an adapter's folder."""
    llm = LocalLLM(bench.plain_reader(template, folder), bench.max_new_tokens)
    known = {**bench.base_settings(), **settings, **top_n_settings(bench, top_n)}
    return Refined(spec.name, llm, known, lambda ranked: selected(ranked, nearest(ranked, top_n)))
