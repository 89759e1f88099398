"""From ranked lists to answers: features, R²-Former, prompt, generation. Asking and evaluation both pass here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from r2ag.adapter.adapter import Adapter
from r2ag.engines.base import Engine
from r2ag.engines.generation import Generation
from r2ag.engines.transformers import TransformersEngine
from r2ag.errors import InputError
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.features import list_features
from r2ag.method.model import R2AGModel, context_window, embedding_table
from r2ag.method.prompting import Prompt, PromptBuilder, PromptTemplate, Turn
from r2ag.types import Document, RankedList

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


NewEngine = Callable[["PreTrainedModel", "PreTrainedTokenizerFast", int], Engine]
"""Makes an engine of the LLM, its tokenizer and the token that ends an answer."""


@dataclass(frozen=True)
class Assessment:
    """What the R²-Former says of a batch of lists.

    features: (batch, k, inputs), NaN where unknown; mask: (batch, k); logits: (batch, k), on the CPU;
    anchors: (batch, k, slots, h₂), where the LLM is; probabilities: for each list, one for each document, calibrated.
    """

    features: Tensor
    mask: Tensor
    logits: Tensor
    anchors: Tensor
    probabilities: tuple[tuple[float, ...], ...]
    features_ms: float
    former_ms: float


@dataclass(frozen=True)
class Reading:
    """A generated answer and its prompt."""

    generation: Generation
    prompt: Prompt


class Reader:
    """An LLM with an adapter: assesses lists and answers from them.

    Args:
        new_engine: makes the engine; called with the LLM, the tokenizer and the end-of-turn token. If the engine runs
            elsewhere, `llm` holds only its embedding layer (r2ag.models.load_embedding).
    """

    def __init__(
        self,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        adapter: Adapter,
        new_engine: NewEngine = TransformersEngine,
    ) -> None:
        self.adapter = adapter
        self.tokenizer = tokenizer
        self.model = R2AGModel(llm, adapter.former.to(embedding_table(llm).device))
        self.model.eval()
        self.builder = PromptBuilder(tokenizer, adapter.config.template, adapter.config.former.slots)
        self._builders = {adapter.config.template: self.builder}
        self.engine = new_engine(llm, tokenizer, self.builder.end_of_turn)
        own = context_window(llm) or 4096
        self.context_window = min(own, self.engine.context_window or own)

    @classmethod
    def at_engine(cls, adapter: Adapter, url: str, llm: str | None = None) -> Reader:
        """A reader whose answers a vLLM server generates; of the LLM it has no more than the embedding layer.

        Args:
            url: as in http://127.0.0.1:8001/v1.
            llm: another copy of the adapter's LLM, by folder or hub name.

        Raises:
            InputError: the LLM can't be had, is not the adapter's, or lacks its LoRA.
            EngineError: the server can't be reached, or is no vLLM.
        """
        from r2ag.engines.vllm import VLLMEngine
        from r2ag.models import load_embedding
        from r2ag.models.merged import check_merged

        name = llm or adapter.config.llm.name
        model, tokenizer = load_embedding(name)
        adapter.check_llm(model, tokenizer)
        check_merged(name, adapter.llm_lora)
        return cls(model, tokenizer, adapter, lambda _, *parts: VLLMEngine(url, *parts))

    @torch.inference_mode()
    def assess(
        self,
        lists: Sequence[RankedList],
        permutation: Tensor | None = None,
        relevance: Tensor | None = None,
        unknown: Tensor | None = None,
    ) -> Assessment:
        """Steps 1, 2 and 5 for lists of any lengths from 1 to max_documents.

        Args:
            permutation: (batch, k) document indices; each document is given the features of another one (a control).
            relevance: (batch, k) what moves E^R in place of the head's probabilities (an upper bound; see R2Former).
            unknown: (batch, k), True for documents whose features are replaced by the training mean.

        Raises:
            InputError: a list is empty or longer than the adapter's max_documents.
        """
        self._check_lengths(lists)
        started = time.perf_counter()
        features, mask = list_features(
            lists, self.adapter.config.encoder.similarity, self.adapter.config.former.features
        )
        if permutation is not None:
            features = features.gather(1, permutation[..., None].expand_as(features))
        if unknown is not None:
            features = features.masked_fill(unknown[..., None], torch.nan)
        described = time.perf_counter()
        output = self.model.describe(features, mask, relevance)
        logits = output.logits.float().cpu()
        ended = time.perf_counter()
        calibration = self.adapter.config.calibration
        probabilities = tuple(
            tuple(calibration.probability(logit) for logit in row[: len(ranked)])
            for row, ranked in zip(logits.tolist(), lists, strict=True)
        )
        timings = (described - started) * 1000, (ended - described) * 1000
        return Assessment(features, mask, logits, output.anchors, probabilities, *timings)

    def builder_for(self, template: PromptTemplate) -> PromptBuilder:
        """The builder of a template; made once, for it holds a copy of the tokenizer."""
        if template not in self._builders:
            self._builders[template] = PromptBuilder(self.tokenizer, template, self.builder.slots)
        return self._builders[template]

    def prompt(
        self,
        question: str,
        documents: Sequence[Document],
        max_new_tokens: int,
        history: Sequence[Turn] = (),
        builder: PromptBuilder | None = None,
    ) -> Prompt:
        """The prompt that leaves room for `max_new_tokens` in the context window.

        Raises:
            InputError: they take the whole window, or the question doesn't fit.
        """
        if not 1 <= max_new_tokens < self.context_window:
            raise InputError(
                f"max_new_tokens is {max_new_tokens}, and prompt and answer share {self.context_window} tokens; "
                f"give a number from 1 to {self.context_window - 1}."
            )
        return (builder or self.builder).build(question, documents, self.context_window - max_new_tokens, history)

    @torch.inference_mode()
    def embed(self, prompts: Sequence[Prompt], anchors: Sequence[Tensor] | None) -> MixedEmbeddings:
        """Mixed embeddings of prompts; `anchors[i]` is (documents in prompt i, slots, h₂)."""
        stacked = None
        if anchors is not None and self.builder.template.has_slots:
            stacked = torch.nn.utils.rnn.pad_sequence(list(anchors), batch_first=True)
        return self.model.embed(prompts, stacked)

    def mix(
        self,
        lists: Sequence[RankedList],
        assessment: Assessment | None,
        max_new_tokens: int,
        keep: Sequence[Sequence[int]] | None = None,
        template: PromptTemplate | None = None,
        history: Sequence[Turn] = (),
    ) -> tuple[list[Prompt], MixedEmbeddings]:
        """Step 3, and what the LLM reads in step 4: the prompts of a batch of lists, and their embeddings.

        The arguments are those of `read`.
        """
        kept = keep if keep is not None else [range(len(ranked)) for ranked in lists]
        builder = self.builder if template is None else self.builder_for(template)
        prompts = [
            self.prompt(ranked.question, [ranked.documents[i] for i in indices], max_new_tokens, history, builder)
            for ranked, indices in zip(lists, kept, strict=True)
        ]
        anchors = None
        if assessment is not None and builder.template.has_slots:
            anchors = [row[list(indices)] for row, indices in zip(assessment.anchors, kept, strict=True)]
        return prompts, self.embed(prompts, anchors)

    def read(
        self,
        lists: Sequence[RankedList],
        assessment: Assessment | None,
        max_new_tokens: int = 32,
        keep: Sequence[Sequence[int]] | None = None,
        template: PromptTemplate | None = None,
        history: Sequence[Turn] = (),
        on_text: Callable[[str], None] | None = None,
    ) -> list[Reading]:
        """Steps 3 and 4: greedy answers to a batch of lists.

        Args:
            assessment: of these lists; None with a template that has no slots is plain RAG.
            keep: for each list the indices of the documents to read, in prompt order; None reads all. Features and
                anchors always come from the whole list.
            template: another prompt than the adapter's.
        """
        prompts, mixed = self.mix(lists, assessment, max_new_tokens, keep, template, history)
        return self.generate(prompts, mixed, max_new_tokens, template, on_text)

    def generate(
        self,
        prompts: Sequence[Prompt],
        mixed: MixedEmbeddings,
        max_new_tokens: int,
        template: PromptTemplate | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> list[Reading]:
        """Step 4: greedy answers to prompts, by what `mix` returned; the arguments are those of `read`."""
        stop = (template or self.builder.template).stop
        generations = self.engine.generate(mixed, max_new_tokens, on_text, stop)
        return [Reading(generation, prompt) for generation, prompt in zip(generations, prompts, strict=True)]

    def _check_lengths(self, lists: Sequence[RankedList]) -> None:
        limit = self.adapter.config.former.max_documents
        for ranked in lists:
            if not 1 <= len(ranked) <= limit:
                raise InputError(
                    f"The question has {len(ranked)} documents and this adapter takes 1 to {limit}; give a smaller k "
                    "or fewer documents."
                )
