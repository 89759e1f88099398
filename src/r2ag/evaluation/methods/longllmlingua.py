"""`longllmlingua`, `longllmlingua:RATE`: prompt compression (Jiang et al., 2023, arXiv 2310.06839) by llmlingua.

The authors' library, with the settings that they give for long contexts, keeps about RATE of the documents' tokens (0.5
without a RATE): documents by how much they help to predict the question, then tokens by how much the question changes
their probability. Faithful but for two things: the small model whose perplexities decide is the LLM itself, and the
compressed documents stand in the prompt that training records chose. Documents come in the library's order, the most
helpful first.

llmlingua 0.2.2 was written for transformers whose keys and values were pairs of tensors, and loads models itself,
together with a vocabulary from the web that it only counts with. The classes here stand between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import DynamicCache

from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refined, Refinement, chosen_template, refined_rag
from r2ag.method.model import context_window
from r2ag.types import Document, RankedList

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

try:
    from llmlingua import PromptCompressor
except ImportError:
    raise InputError("The method longllmlingua needs llmlingua; install with: pip install 'r2ag[llmlingua]'") from None

RATE = 0.5
KeysAndValues = Sequence[tuple[Tensor, Tensor]]
"""One pair a layer, each (batch, heads, length, size)."""


@dataclass(frozen=True)
class Output:
    """What llmlingua reads of a model's output; `logits`: fp32, (batch, length, vocabulary)."""

    logits: Tensor
    past_key_values: KeysAndValues


@dataclass(frozen=True)
class PairwiseLLM:
    """An LLM whose keys and values come and go as pairs of tensors."""

    llm: PreTrainedModel

    def __call__(
        self, ids: Tensor, attention_mask: Tensor, past_key_values: KeysAndValues | None, use_cache: bool
    ) -> Output:
        """Reads ids of shape (1, length) behind what `past_key_values` hold."""
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(past_key_values or ()):
            cache.update(keys, values, layer)
        output: Any = self.llm(ids, attention_mask=attention_mask, past_key_values=cache, use_cache=use_cache)
        pairs = [(layer.keys, layer.values) for layer in output.past_key_values.layers]
        return Output(output.logits.float(), pairs)


class Compressor(PromptCompressor):  # type: ignore[misc]
    """LongLLMLingua with the settings that its authors give for long contexts."""

    def __init__(self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        # Not super's: it would load a model by its name, and OpenAI's vocabulary from the web.
        self.model = PairwiseLLM(llm)
        self.tokenizer = tokenizer
        self.oai_tokenizer = tokenizer
        self.use_llmlingua2 = False
        self.device = llm.device
        self.max_position_embeddings = context_window(llm) or 4096
        self.context_idxs: list[Any] = []
        self.cache_bos_num = 10
        self.prefix_bos_num = 100
        self._kept = 0

    def compress(self, documents: Sequence[str], question: str, rate: float) -> tuple[str, int]:
        """The documents as one shorter text, and how many of them have a part in it."""
        self._kept = len(documents)
        self.context_idxs.clear()
        compressed = self.compress_prompt(
            list(documents),
            question=question,
            rate=rate,
            condition_in_question="after_condition",
            reorder_context="sort",
            dynamic_context_compression_ratio=0.3,
            condition_compare=True,
            context_budget="+100",
            rank_method="longllmlingua",
            concate_question=False,
        )
        return str(compressed["compressed_prompt"]), self._kept

    def control_context_budget(self, *arguments: Any, **options: Any) -> tuple[list[str], list[float], list[int]]:
        """llmlingua's choice of documents, counted."""
        context, ratios, used = super().control_context_budget(*arguments, **options)
        self._kept = len(context)
        return context, ratios, used

    def get_prefix_length(self, prefix: str, text: str) -> int:
        """llmlingua asserts that a token ends where the prefix does, which in many vocabularies none does."""
        return int(self.get_token_length(prefix, add_special_tokens=False))


def create(spec: Spec, bench: Bench) -> Refined:
    """Compresses each list into one text.

    Raises:
        InputError: RATE is no number from 0 to 1.
    """
    rate = spec.share() if spec.argument else RATE
    compressor = Compressor(bench.base_llm, bench.main.tokenizer)

    def refine(ranked: RankedList) -> Refinement:
        numbered = [f"[{number}] {document.passage}" for number, document in enumerate(ranked.documents, start=1)]
        text, read = compressor.compress(numbered, ranked.question, rate)
        return Refinement((Document(text),), read)

    template = replace(chosen_template(bench), document="\n{document}\n")
    return refined_rag(spec, bench, refine, {"rate": rate}, template)
