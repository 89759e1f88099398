"""What `r2ag train` starts from, checks and tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2ag.cli.info import loss_facts
from r2ag.cli.output import Facts
from r2ag.cli.settings import is_typed
from r2ag.errors import InputError
from r2ag.training.config import TrainingConfig
from r2ag.types import VECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    from r2ag.adapter.adapter import Adapter
    from r2ag.method.former import FormerConfig
    from r2ag.method.prompting import PromptTemplate
    from r2ag.training.run import Parts
    from r2ag.types import Record

ADAPTERS_OWN = (
    *("llm", "retriever", "encoder_lora", "method", "slots"),
    *("features", "positions", "relevance_direction", "prompt"),
)
"""Options that --start-from takes from the adapter."""


@dataclass(frozen=True)
class Start:
    """What a run begins with; `adapter` is the one that is trained on, if any."""

    parts: Parts
    template: PromptTemplate
    former: FormerConfig
    adapter: Adapter | None = None


def start_anew(llm: str, retriever: str, encoder_lora: Path | None, config: TrainingConfig, **sizes: Any) -> Start:
    """Loads the models; `sizes` are FormerConfig's.

    Raises:
        InputError: a model can't be loaded, or there is no such prompt.
    """
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.method.former import FormerConfig
    from r2ag.method.model import embedding_table
    from r2ag.method.templates import plain_template, with_slots, with_slots_alone
    from r2ag.models import load_llm
    from r2ag.training.run import Parts

    template = plain_template(config.prompt)
    encoder = FeatureEncoder.from_pretrained(retriever, encoder_lora)
    model, tokenizer = load_llm(llm)
    if config.method == "xrag":
        sizes |= {"features": (VECTOR,), "vector_size": encoder.dimension}
        template = with_slots_alone(template)
    elif config.method != "raft":
        template = with_slots(template)
    former = FormerConfig(llm_hidden_size=int(embedding_table(model).shape[1]), **sizes)
    return Start(Parts(model, tokenizer, encoder, llm), template, former)


def start_from_adapter(name: str, context: typer.Context, config: TrainingConfig) -> tuple[Start, TrainingConfig]:
    """Loads an adapter and its models; returns the settings with the adapter's method and prompt.

    Raises:
        InputError: they can't be loaded, or an option names what is the adapter's own.
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


def check_settings(records: Sequence[Record], start: Start, config: TrainingConfig) -> None:
    """Checks that settings go together; builds the longest prompt, since one that is too long would stop the run later.

    Raises:
        InputError: they don't, or the prompt does not fit.
    """
    from r2ag.method.model import context_window
    from r2ag.method.prompting import PromptBuilder
    from r2ag.types import Document

    parts, former = start.parts, start.former
    if config.most_documents > former.max_documents:
        raise InputError(
            f"--documents goes up to {config.most_documents}; an adapter takes at most {former.max_documents}."
        )
    if config.gold_relevance and not former.relevance_direction:
        raise InputError("--gold-relevance needs --relevance-direction, which the labels move the embeddings along.")
    window = context_window(parts.llm)
    if window is not None and config.max_prompt_tokens > window:
        raise InputError(f"--max-prompt-tokens is {config.max_prompt_tokens}; this LLM reads at most {window}.")
    longest = max((record.question for record in records), key=len)
    builder = PromptBuilder(parts.tokenizer, start.template, former.slots)
    try:
        builder.build(longest, [Document("text")] * former.max_documents, config.max_prompt_tokens)
    except InputError:
        raise InputError(
            f"--max-prompt-tokens is {config.max_prompt_tokens}, too few for {former.max_documents} documents and the "
            f"longest question ({len(longest)} characters); give more."
        ) from None


def run_facts(adapter: Adapter, work: Path) -> Facts:
    """What a finished run tells: the losses on held-back records, the calibration, and where things are."""
    calibration = adapter.config.calibration
    return [
        *loss_facts(adapter.config.training),
        ("probability", f"sigmoid({calibration.slope:.3f} · logit {calibration.intercept:+.3f})"),
        ("threshold", f"{calibration.threshold:.3f}, from {calibration.fitted_on}"),
        ("adapter", adapter.folder),
        ("log, checkpoints", work),
    ]


def weighted_file(argument: str) -> tuple[Path, float]:
    """FILE or FILE:WEIGHT; a file whose name ends in a colon and a number is taken as it is."""
    name, _, weight = argument.rpartition(":")
    if name and not Path(argument).exists():
        try:
            return Path(name), float(weight)
        except ValueError:
            pass
    return Path(argument), 1.0


def document_range(argument: str) -> tuple[int, int]:
    """LO-HI, or one number for both.

    Raises:
        InputError: it is neither.
    """
    low, dash, high = argument.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()):
        raise InputError(f"--documents is {argument!r}; give two numbers as in 1-10.")
    return int(low), int(high if dash else low)


def positive(value: float, option: str) -> float:
    """The value.

    Raises:
        InputError: it is not above 0, or not finite.
    """
    if not 0 < value < float("inf"):
        raise InputError(f"{option} is {value:g}; give a number above 0.")
    return value
