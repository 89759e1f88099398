"""`r2ag-words`: the relevance that R²AG computes, written into the prompt as words; ours, not the paper's.

For LLMs that take no embeddings, as closed ones through `r2ag-words=MODEL@URL`, and a control: what E^R gives beyond
what a sentence could say.
"""

from __future__ import annotations

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings
from r2ag.evaluation.methods.refined import Refined, Refinement, refined_rag
from r2ag.method.templates import plain_template, with_match_words
from r2ag.types import Document, RankedList

LEVELS = ((0.8, "very good"), (0.5, "good"), (0.2, "fair"), (0.05, "poor"), (0.0, "very poor"))


def in_words(probability: float) -> str:
    """A probability of relevance as people say it, with its figure."""
    level = next(words for least, words in LEVELS if probability >= least)
    return f"{level} ({probability:.2f})"


def create(spec: Spec, bench: Bench) -> Refined:
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
