"""`self-rag-prompted`: what Self-RAG does with reflection tokens, asked in words of an LLM that lacks them.

An approximation: for each document the LLM says whether the document is relevant, answers from it alone, and says
whether the document supports the answer; yes and no are compared by their probabilities. The answer with the best sum
is given; `self-rag-prompted:N` reads the N nearest documents. Usefulness and sequence scores of the published method
are left out: LLMs without its training rate all their answers useful.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from r2ag.answering.reader import Reader
from r2ag.evaluation.methods.base import Prediction, Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.rag import nearest, top_n_settings
from r2ag.evaluation.methods.refined import chosen_template
from r2ag.method.prompting import PromptTemplate
from r2ag.types import RankedList

_RELEVANT = "Does the text above help to answer this question?"
_SUPPORTED = "Does the text above say that this answer is right?"


@dataclass(frozen=True)
class SelfRagPrompted:
    """Three prompts a document; `reader` holds the one that asks for the answer."""

    name: str
    reader: Reader
    max_new_tokens: int
    settings: Mapping[str, Any]
    relevant: PromptTemplate
    supported: PromptTemplate
    top_n: int | None = None

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """One list after another; its documents are one batch."""
        return [self._answer(ranked) for ranked in lists]

    def _answer(self, ranked: RankedList) -> Prediction:
        started = time.perf_counter()
        alone = [ranked.reordered([index]) for index in nearest(ranked, self.top_n)]
        readings = self.reader.read(alone, None, self.max_new_tokens)
        answers = [reading.generation.text for reading in readings]
        relevance, asked = self.agreement(alone, [ranked.question] * len(alone), self.relevant)
        claims = [f"{ranked.question}\nGiven answer: {answer}" for answer in answers]
        support, checked = self.agreement(alone, claims, self.supported)
        scores = [one + other for one, other in zip(relevance, support, strict=True)]
        return Prediction(
            text=answers[max(range(len(scores)), key=scores.__getitem__)],
            prompt_tokens=sum(len(reading.prompt) for reading in readings) + asked + checked,
            # Each judgement is one token, a yes or a no.
            completion_tokens=sum(reading.generation.completion_tokens for reading in readings) + 2 * len(alone),
            seconds=time.perf_counter() - started,
            documents_read=len(alone),
        )

    @torch.inference_mode()
    def agreement(
        self, lists: Sequence[RankedList], questions: Sequence[str], template: PromptTemplate
    ) -> tuple[list[float], int]:
        """How probably the LLM says yes and not no, for each list, and how many tokens it read."""
        builder = self.reader.builder_for(template)
        prompts = [
            self.reader.prompt(question, ranked.documents, self.max_new_tokens, builder=builder)
            for question, ranked in zip(questions, lists, strict=True)
        ]
        logits = self.reader.model.answer_logits(self.reader.embed(prompts, None), 1)[:, 0]
        yes, no = (builder.target(word)[0] for word in ("yes", "no"))
        return logits[:, [yes, no]].softmax(dim=-1)[:, 0].tolist(), sum(len(prompt) for prompt in prompts)


def create(spec: Spec, bench: Bench) -> SelfRagPrompted:
    """By the base LLM, with the prompt that training records chose."""
    top_n = spec.optional_count()
    template = chosen_template(bench)
    relevant, supported = (
        replace(template, head="", tail=f"\nQuestion: {{question}}\n{words} Answer yes or no.\n")
        for words in (_RELEVANT, _SUPPORTED)
    )
    settings = bench.base_settings() | {"method": spec.base} | top_n_settings(bench, top_n)
    settings |= {"templates": [asdict(used) for used in (template, relevant, supported)]}
    reader = bench.plain_reader(template)
    return SelfRagPrompted(spec.name, reader, bench.max_new_tokens, settings, relevant, supported, top_n)
