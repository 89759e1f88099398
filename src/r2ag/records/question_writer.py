"""What writes texts for records: an LLM in this process, or a server's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from r2ag.method.prompting import PromptBuilder, PromptTemplate
from r2ag.types import Document

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from r2ag.engines.chat_api import ChatAPI


class QuestionWriter(Protocol):
    """Writes what follows a prompt."""

    @property
    def name(self) -> str:
        """Whose words they are; another name, other words."""

    def write(self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int) -> str:
        """The text behind the template's cue."""


class LocalWriter:
    """Greedy generation by an LLM without an adapter; no document can forge a token."""

    def __init__(self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> None:
        from r2ag.method.model import context_window

        self.llm = llm
        self.tokenizer = tokenizer
        self.name = name
        self._builders: dict[PromptTemplate, PromptBuilder] = {}
        self._window = context_window(llm) or 4096

    def write(self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int) -> str:
        """See QuestionWriter."""
        import torch

        from r2ag.engines.transformers import TransformersEngine
        from r2ag.method.embeddings import MixedEmbeddings

        if template not in self._builders:
            self._builders[template] = PromptBuilder(self.tokenizer, template, slots=0)
        builder = self._builders[template]
        prompt = builder.build(question, documents, self._window - max_new_tokens)
        ids = torch.tensor([prompt.ids], device=self.llm.device)
        with torch.inference_mode():
            mixed = MixedEmbeddings(self.llm.get_input_embeddings()(ids), torch.ones_like(ids))
            engine = TransformersEngine(self.llm, self.tokenizer, builder.end_of_turn)
            return engine.generate(mixed, max_new_tokens, stop=template.stop)[0].text


class RemoteWriter:
    """A server's model, which gets the same words as one message."""

    def __init__(self, api: ChatAPI) -> None:
        self.api = api
        self.name = api.name

    def write(self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int) -> str:
        """See QuestionWriter."""
        return self.api.answer(template, question, documents, max_new_tokens).text
