"""`self-rag=MODEL`: Self-RAG (Asai et al., 2023, arXiv 2310.11511) by a checkpoint that writes reflection tokens.

Short-form decoding as the authors' run_short_form.py does it with "always_retrieve" and sequence scores: the LLM
answers from each document alone, judges the document, its answer's support and its usefulness by reflection tokens, and
the answer with the best score is given. `self-rag:N=MODEL` reads the N nearest documents.
Faithful, with everybody's limit of new tokens. The checkpoint is another LLM than the other methods'.

`self-rag-prompted` asks in words an LLM that lacks the tokens. An approximation: for each document the LLM says whether
the document is relevant, answers from it alone, and says whether the document supports the answer; yes and no are
compared by their probabilities. The answer with the best sum is given; `self-rag-prompted:N` reads the N nearest
documents. Usefulness and sequence scores of the published method are left out: LLMs without its training rate all their
answers useful.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import weights_digest
from r2ag.errors import InputError
from r2ag.evaluation.methods import Prediction, Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.rag import nearest, top_n_settings
from r2ag.evaluation.methods.refined import chosen_template
from r2ag.method.model import context_window
from r2ag.method.plain_text import PlainTextTokenizer
from r2ag.method.prompting import PromptTemplate
from r2ag.types import Document, RankedList

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


RELEVANCE = {"[Relevant]": 1.0, "[Irrelevant]": 0.0}
SUPPORT = {"[Fully supported]": 1.0, "[Partially supported]": 0.5, "[No support / Contradictory]": 0.0}
UTILITY = {"[Utility:1]": -1.0, "[Utility:2]": -0.5, "[Utility:3]": 0.0, "[Utility:4]": 0.5, "[Utility:5]": 1.0}
FRAME = ("[Retrieval]", "<paragraph>", "</paragraph>")
UTILITY_WEIGHT = 0.5  # relevance and support count 1
_RELEVANT = "Does the text above help to answer this question?"
_SUPPORTED = "Does the text above say that this answer is right?"


@dataclass(frozen=True)
class Critique:
    """An answer from one document with its score, and how many tokens it has."""

    text: str
    score: float
    completion_tokens: int


@dataclass(frozen=True)
class SelfRag:
    """Answers from each document alone and keeps the answer that the LLM itself rates best."""

    name: str
    llm: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    plain: PlainTextTokenizer
    max_new_tokens: int
    settings: Mapping[str, Any]
    top_n: int | None = None

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """One list after another; its documents are one batch."""
        return [self._answer(ranked) for ranked in lists]

    def _answer(self, ranked: RankedList) -> Prediction:
        started = time.perf_counter()
        read = [ranked.documents[index] for index in nearest(ranked, self.top_n)]
        prompts = [self.prompt(ranked.question, document) for document in read]
        critiques = self.critiques(prompts)
        best = max(critiques, key=lambda critique: critique.score)
        return Prediction(
            text=best.text,
            prompt_tokens=sum(len(prompt) for prompt in prompts),
            completion_tokens=sum(critique.completion_tokens for critique in critiques),
            seconds=time.perf_counter() - started,
            documents_read=len(read),
        )

    def prompt(self, question: str, document: Document) -> list[int]:
        """Ids of the authors' prompt; no text can write one of its special tokens."""
        retrieval, opening, closing = (self._id(token) for token in FRAME)
        start = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        asked = self.plain.encode(f"### Instruction:\n{question}\n\n### Response:\n")
        window = context_window(self.llm) or 4096
        room = window - self.max_new_tokens - len(asked) - len(FRAME) - len(start)
        passage = self.plain.encode(f"{document.title}\n{document.text}")[:room]
        return [*start, *asked, retrieval, opening, *passage, closing]

    @torch.inference_mode()
    def critiques(self, prompts: Sequence[Sequence[int]]) -> list[Critique]:
        """Greedy answers to prompts, each with its score."""
        longest = max(len(prompt) for prompt in prompts)
        rows = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        generator: Any = self.llm
        output = generator.generate(
            torch.tensor(rows, device=self.llm.device),
            attention_mask=torch.tensor(mask, device=self.llm.device),
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.eos_token_id,
            output_logits=True,
            return_dict_in_generate=True,
        )
        log_probabilities = torch.stack(output.logits, dim=1).float().log_softmax(dim=-1)
        written = output.sequences[:, longest:]
        return [self.critique(ids, row) for ids, row in zip(written, log_probabilities, strict=True)]

    def critique(self, ids: Tensor, log_probabilities: Tensor) -> Critique:
        """The score of one answer.

        Args:
            ids: (length,), with what follows the end of the text.
            log_probabilities: (length, vocabulary), of each place's next token.
        """
        ends = (ids == self.tokenizer.eos_token_id).nonzero()
        length = int(ends[0]) + 1 if len(ends) else len(ids)
        tokens = ids[:length].tolist()
        sequence = log_probabilities[range(length), tokens].mean().exp()
        relevance = self._expected(log_probabilities[0], RELEVANCE)
        support = self._judged(tokens, log_probabilities, SUPPORT)
        utility = self._judged(tokens, log_probabilities, UTILITY)
        score = float(sequence) + relevance + support + UTILITY_WEIGHT * utility
        reflections = {self._id(token) for token in (*RELEVANCE, *SUPPORT, *UTILITY, *FRAME)}
        text = self.tokenizer.decode([token for token in tokens if token not in reflections], skip_special_tokens=True)
        return Critique(str(text).strip(), score, length)

    def _judged(self, tokens: Sequence[int], log_probabilities: Tensor, values: Mapping[str, float]) -> float:
        """The judgement at its first token; 0 where the LLM writes none."""
        ids = {self._id(token) for token in values}
        place = next((place for place, token in enumerate(tokens) if token in ids), None)
        return 0.0 if place is None else self._expected(log_probabilities[place], values)

    def _expected(self, log_probabilities: Tensor, values: Mapping[str, float]) -> float:
        chosen = log_probabilities[[self._id(token) for token in values]].softmax(dim=-1)
        return float(chosen @ torch.tensor(list(values.values()), device=chosen.device))

    def _id(self, token: str) -> int:
        return int(self.tokenizer.get_vocab()[token])


def create(spec: Spec, bench: Bench) -> SelfRag:
    """Loads the checkpoint.

    Raises:
        InputError: none is named, it can't be loaded, or its vocabulary lacks the reflection tokens.
    """
    from r2ag.models import load_llm

    top_n = spec.optional_count()
    if not spec.folder:
        raise InputError(
            f"The method {spec} needs a Self-RAG checkpoint, as {spec.base}=MODEL; for other LLMs there is "
            "self-rag-prompted."
        )
    llm, tokenizer = load_llm(spec.folder)
    vocabulary = tokenizer.get_vocab()
    lacking = [token for token in (*RELEVANCE, *SUPPORT, *UTILITY, *FRAME) if token not in vocabulary]
    if lacking:
        raise InputError(
            f"{spec.folder} is no Self-RAG checkpoint: its vocabulary lacks {lacking[0]}; use self-rag-prompted."
        )
    settings: dict[str, Any] = {"method": spec.base, "llm": weights_digest(llm), "dtype": str(llm.dtype)}
    settings |= top_n_settings(bench, top_n)
    settings["max_new_tokens"] = bench.max_new_tokens
    plain = PlainTextTokenizer(tokenizer)
    return SelfRag(spec.name, llm, tokenizer, plain, bench.max_new_tokens, settings, top_n)


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


def prompted(spec: Spec, bench: Bench) -> SelfRagPrompted:
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
