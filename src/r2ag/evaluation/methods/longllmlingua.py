"""`longllmlingua`, `longllmlingua:RATE`: prompt compression (Jiang et al., 2023, arXiv 2310.06839) by llmlingua.

The authors' library, with the settings that they give for long contexts, keeps about RATE of the documents' tokens (0.5
without a RATE): documents by how much they help to predict the question, then tokens by how much the question changes
their probability. Faithful but for two things: the small model whose perplexities decide is the LLM itself, and the
compressed documents stand in the prompt that training records chose. Documents come in the library's order, the most
helpful first.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refined, Refinement, chosen_template, refined_rag
from r2ag.types import Document, RankedList

RATE = 0.5


def create(spec: Spec, bench: Bench) -> Refined:
    """Compresses each list into one text.

    Raises:
        InputError: llmlingua is not installed, or RATE is no number from 0 to 1.
    """
    rate = spec.share() if spec.argument else RATE
    if find_spec("llmlingua") is None:
        raise InputError(f"The method {spec} needs llmlingua; install with: pip install 'r2ag[llmlingua]'")
    from r2ag.evaluation.methods.lingua import Compressor

    compressor = Compressor(bench.base_llm, bench.main.tokenizer)

    def refine(ranked: RankedList) -> Refinement:
        numbered = [f"[{number}] {document.passage}" for number, document in enumerate(ranked.documents, start=1)]
        text, read = compressor.compress(numbered, ranked.question, rate)
        return Refinement((Document(text),), read)

    template = replace(chosen_template(bench), document="\n{document}\n")
    return refined_rag(spec, bench, refine, {"rate": rate}, template)
