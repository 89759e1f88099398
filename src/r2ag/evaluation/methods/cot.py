"""`cot`: zero-shot chain of thought (Kojima et al., 2022, arXiv 2205.11916) over all documents.

An approximation: the published method asks twice, first for the reasoning and then for the answer behind it. Here, as
in the comparison of the R²AG paper, one generation with everybody's limit of new tokens holds both, and metrics look
for the answer in all of it.
"""

from __future__ import annotations

from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refined, chosen_template, everything, refined_rag
from r2ag.method.templates import thinking


def create(spec: Spec, bench: Bench) -> Refined:
    """With the words of the prompt that training records chose, which then asks for reasoning."""
    spec.refuse_argument()
    template = thinking(chosen_template(bench))
    return refined_rag(spec, bench, everything, {}, template)
