from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r2ag.adapter.adapter import Adapter
from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.evaluation.methods import Method, create_method, parse_methods
from r2ag.evaluation.methods.bench import Bench
from r2ag.method.calibration import Calibration
from r2ag.method.former import FormerConfig
from r2ag.method.prompting import PromptTemplate
from r2ag.types import RankedList
from tests.tiny import HIDDEN, some_documents, tiny_encoder_folder, tiny_llm, tiny_tokenizer

SLOTTED = PromptTemplate("Answer.\n", "[{number}]{slots} {document}\n", "{question}\n")
SIZES = FormerConfig(HIDDEN, hidden_size=16, heads=2, feed_forward_size=32, max_documents=8)


@dataclass(frozen=True)
class Parts:
    """Tiny random models, shared by the tests of this folder."""

    llm: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    encoder: FeatureEncoder

    def adapter(
        self,
        method: Any = "r2ag",
        threshold: float = 0.5,
        template: PromptTemplate = SLOTTED,
        sizes: FormerConfig = SIZES,
    ) -> Adapter:
        torch.manual_seed(0)
        adapter = Adapter.create(method, self.llm, self.tokenizer, self.encoder, sizes, template)
        adapter.config = replace(adapter.config, plain_top_n=2)
        adapter.former.eval()
        return adapter.with_calibration(Calibration(threshold=threshold, prune_threshold=threshold))

    def reader(self, **options: Any) -> Reader:
        return Reader(self.llm, self.tokenizer, self.adapter(**options))

    def method(self, text: str, **options: Any) -> Method:
        bench = Bench(self.reader(**options), self.encoder, max_new_tokens=4)
        return create_method(parse_methods([text])[0], bench)

    def ranked(self, count: int, question: str = "Which bridge is the oldest?") -> RankedList:
        return self.encoder.describe(question, some_documents(count))


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    folder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))
    return Parts(tiny_llm(vocabulary=len(tokenizer)), tokenizer, FeatureEncoder.from_pretrained(str(folder)))


@pytest.fixture
def saved(parts: Parts, tmp_path: Path) -> Callable[..., str]:
    """Writes an adapter of a method, optionally with a random LoRA of the LLM, and names its folder."""

    def save(method: str, lora: bool = False) -> str:
        from peft import LoraConfig, get_peft_model

        folder = tmp_path / f"{method}{'-lora' if lora else ''}"
        config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        own = get_peft_model(tiny_llm(vocabulary=len(parts.tokenizer)), config) if lora else None
        documents = {"raft": "[{number}] {document}\n", "xrag": "[{number}]{slots}\n"}
        changes: dict[str, Any] = {"template": replace(SLOTTED, document=documents.get(method, SLOTTED.document))}
        if method == "xrag":
            changes["sizes"] = FormerConfig(HIDDEN, features=("vector",), vector_size=HIDDEN, max_documents=8)
        parts.adapter(method, **changes).save_pretrained(folder, own)
        return str(folder)

    return save
