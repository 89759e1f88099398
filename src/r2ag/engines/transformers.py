"""Step 4 (eq. 6) in this process: greedy answers to a batch of prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from r2ag.engines.batch import Batch
from r2ag.engines.generation import Generation
from r2ag.engines.writing import Sampling, Writing, stop_tokens
from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.prefix_cache import Openings, unknown_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class TransformersEngine:
    """Greedy generation with a Hugging Face LLM.

    Batch writes the answers. An LLM with state-space or linear-attention layers keeps a memory that Batch can't merge;
    transformers' `generate` runs such an LLM, for the whole batch until the last answer ends. Either way Writing turns
    tokens into text and decides where an answer ends.
    """

    context_window: int | None = None
    has_llm = True

    def __init__(self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, end_of_turn: int) -> None:
        self.llm = llm
        self.openings = Openings(llm)
        self.tokenizer = tokenizer
        self.stop_tokens = stop_tokens(tokenizer, end_of_turn)

    def generate(
        self,
        mixed: MixedEmbeddings,
        max_new_tokens: int,
        on_text: Callable[[str], None] | None = None,
        stop: str = "",
    ) -> list[Generation]:
        """See Engine."""
        sampling = Sampling(max_new_tokens, stop=(stop,) if stop else ())
        rows = [Writing(sampling, self.tokenizer, self.stop_tokens, on_text) for _ in mixed.embeddings]
        if unknown_layers(self.llm):
            self._run_generate(mixed, rows)
        else:
            batch = Batch(self.llm, self.openings)
            batch.join(mixed, *rows)
            while len(batch):
                batch.step()
        return [row.generation() for row in rows]

    def close(self) -> None:
        """Nothing to close."""

    @torch.inference_mode()
    def _run_generate(self, mixed: MixedEmbeddings, rows: list[Writing]) -> None:
        """Runs transformers' own loop, which asks after each token which answers have ended."""

        def take(ids: Tensor, scores: Any) -> Tensor:
            for row, token in zip(rows, ids[:, -1].tolist(), strict=True):
                if not row.has_ended:
                    row.take(token)
            return torch.tensor([row.has_ended for row in rows], device=ids.device)

        llm: Any = self.llm
        llm.generate(
            inputs_embeds=mixed.embeddings,
            attention_mask=mixed.mask,
            max_new_tokens=rows[0].sampling.max_new_tokens,
            stopping_criteria=[take],
            eos_token_id=self.stop_tokens,
            pad_token_id=self.stop_tokens[0],
            do_sample=False,
            # An LLM's own generation_config may penalise repetition or sample, which is not greedy decoding.
            repetition_penalty=1.0,
            temperature=None,
            top_p=None,
            top_k=None,
        )
