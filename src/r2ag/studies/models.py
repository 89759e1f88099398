"""The models of a study's conditions: an LLM that several adapters share stays loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from r2ag.adapter.adapter import Adapter
from r2ag.adapter.loading import PRETRAINED, load_encoder
from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.pipeline import Pipeline

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Models:
    """Pipelines by adapter, one at a time.

    Args:
        llm, retriever: other copies of the adapters' own models.
    """

    def __init__(self, llm: str | None = None, retriever: str | None = None) -> None:
        self._llm_copy = llm
        self._retriever_copy = retriever
        self._llm_name = ""
        self._llm: tuple[PreTrainedModel, PreTrainedTokenizerFast] | None = None
        self._adapter_name: str | None = None
        self._pipeline: Pipeline | None = None

    def pipeline(self, adapter: str = "") -> Pipeline:
        """An adapter with its LLM and its encoder.

        Raises:
            InputError: one of them can't be had, or they don't belong together.
        """
        if self._pipeline is None or adapter != self._adapter_name:
            self._pipeline = None  # its models are free before others are loaded
            self._pipeline, self._adapter_name = self._loaded(adapter), adapter
        return self._pipeline

    def _loaded(self, name: str) -> Pipeline:
        adapter = Adapter.from_pretrained(name or PRETRAINED)
        if adapter.llm_lora is not None:  # merging changes the LLM, so that no other adapter can share it
            self._llm = None
            return Pipeline.from_pretrained(name, self._llm_copy, self._retriever_copy)
        encoder = load_encoder(adapter, self._retriever_copy)
        llm, tokenizer = self._shared(self._llm_copy or adapter.config.llm.name)
        adapter.check_llm(llm, tokenizer)
        return Pipeline(Reader(llm, tokenizer, adapter), encoder)

    def _shared(self, name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
        from r2ag.models import load_llm

        if self._llm is None or name != self._llm_name:
            self._llm = None
            self._llm, self._llm_name = load_llm(name), name
        return self._llm


def adapter_folder(name: str) -> Path:
    """Where an adapter stands, the shipped one without a name."""
    return Adapter.from_pretrained(name or PRETRAINED).folder or Path(name)


def untuned_encoder(pipeline: Pipeline) -> FeatureEncoder:
    """The adapter's encoder without its LoRA."""
    return FeatureEncoder.from_pretrained(pipeline.encoder.name)
