"""Where a training run starts: from models and a new R²-Former, or from an adapter that learns on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.cli.settings import is_typed
from r2ag.errors import InputError
from r2ag.training.config import TrainingConfig
from r2ag.types import VECTOR

if TYPE_CHECKING:
    import typer

    from r2ag.adapter.adapter import Adapter
    from r2ag.method.former import FormerConfig
    from r2ag.method.prompting import PromptTemplate
    from r2ag.training.run import Parts

ADAPTERS_OWN = (
    "llm",
    "retriever",
    "encoder_lora",
    "method",
    "slots",
    "features",
    "positions",
    "relevance_direction",
    "prompt",
)


@dataclass(frozen=True)
class Start:
    """What a run begins with; `adapter` is the one that learns on, if any does."""

    parts: Parts
    template: PromptTemplate
    former: FormerConfig
    adapter: Adapter | None = None


def start_anew(llm: str, retriever: str, encoder_lora: Path | None, config: TrainingConfig, **sizes: Any) -> Start:
    """Loads the models; `sizes` are FormerConfig's.

    Raises:
        InputError: one of the models can't be had, or there is no such prompt.
    """
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.method.former import FormerConfig
    from r2ag.method.model import embedding_table
    from r2ag.method.templates import plain_template
    from r2ag.models import load_llm
    from r2ag.training.run import Parts

    plain = plain_template(config.prompt)
    encoder = FeatureEncoder.from_pretrained(retriever, encoder_lora)
    model, tokenizer = load_llm(llm)
    if config.method == "xrag":
        sizes |= {"features": (VECTOR,), "vector_size": encoder.dimension}
    former = FormerConfig(llm_hidden_size=int(embedding_table(model).shape[1]), **sizes)
    return Start(Parts(model, tokenizer, encoder, llm), _template(plain, config), former)


def _template(plain: PromptTemplate, config: TrainingConfig) -> PromptTemplate:
    from r2ag.method.templates import with_slots, with_slots_alone

    if config.method == "raft":
        return plain
    return with_slots_alone(plain) if config.method == "xrag" else with_slots(plain)


def learn_on(name: str, context: typer.Context, config: TrainingConfig) -> tuple[Start, TrainingConfig]:
    """Loads an adapter and the models that it belongs to; the settings, with what is the adapter's own.

    Raises:
        InputError: it can't be had, or an option names what is the adapter's own.
    """
    from r2ag.adapter.adapter import Adapter
    from r2ag.adapter.loading import load_encoder
    from r2ag.models import load_llm
    from r2ag.training.run import Parts

    for option in ADAPTERS_OWN:
        if is_typed(context, option):
            raise InputError(f"--start-from takes --{option.replace('_', '-')} from the adapter; leave it out.")
    adapter = Adapter.from_pretrained(name)
    own = adapter.config
    model, tokenizer = load_llm(own.llm.name)
    start = Start(Parts(model, tokenizer, load_encoder(adapter), own.llm.name), own.template, own.former, adapter)
    return start, replace(config, method=own.method, prompt=own.plain_prompt)
