"""An adapter on disk: what training learned, and what it must be used with.

folder/
  config.json          format_version, method, sizes, prompt template, calibration, the LLM and encoder it belongs to
  model.safetensors    R²-Former, head, projection; probes of the LLM's embedding rows and of the encoder's vectors
  encoder/             LoRA of the feature encoder (peft), where it was fine-tuned
  lora/                LoRA of the LLM (peft), where it was trained jointly
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from r2ag.adapter.config import AdapterConfig, Method, is_adapter, read_config
from r2ag.adapter.controls import new_former
from r2ag.adapter.identity import (
    check_encoder,
    check_llm,
    embedding_rows,
    identify_encoder,
    identify_llm,
)
from r2ag.adapter.model_card import model_card
from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.io.atomic import whole_folder
from r2ag.method.calibration import Calibration
from r2ag.method.former import Former, FormerConfig
from r2ag.method.prompting import PromptTemplate
from r2ag.models.lora import save_lora

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


class Adapter:
    """The trained parts, with the means to check that an LLM and an encoder are those they were trained with."""

    def __init__(
        self,
        config: AdapterConfig,
        former: Former,
        probes: Mapping[str, Tensor],
        folder: Path | None = None,
    ) -> None:
        self.config = config
        self.former = former
        self.probes = dict(probes)
        self.folder = folder
        self._encoder_source: Path | None = None

    @classmethod
    def create(
        cls,
        method: Method,
        llm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        encoder: FeatureEncoder,
        former: FormerConfig,
        template: PromptTemplate,
        llm_name: str | None = None,
    ) -> Adapter:
        """A new, untrained adapter for this LLM and encoder; its anchors start at the LLM's embedding scale.

        Args:
            llm_name: the name to remember the LLM by, where it was loaded from a cache.
        """
        identity, rows = identify_llm(llm, tokenizer, llm_name)
        described, vectors = identify_encoder(encoder)
        module = new_former(method, former)
        module.scale_anchors_to(embedding_rows(llm, 4096))
        probes = {"probe.llm": rows.half(), "probe.encoder": vectors.half()}
        return cls(AdapterConfig(method, identity, described, former, template), module, probes)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str]) -> Adapter:
        """Loads an adapter by folder, or by hub name where there is no such folder.

        Raises:
            InputError: there is none, its format is newer, or a file is damaged; names the file.
        """
        folder = _locate(os.fspath(name))
        config = read_config(folder / "config.json")
        weights = folder / "model.safetensors"
        try:
            tensors = load_file(weights)
        except (OSError, SafetensorError):
            raise InputError(f"{weights} is missing or damaged; copy or train the adapter again.") from None
        probes = {key: tensors.pop(key) for key in list(tensors) if key.startswith("probe.")}
        former = new_former(config.method, config.former)
        try:
            former.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
        except RuntimeError:
            raise InputError(
                f"{weights} does not fit {folder / 'config.json'}; copy or train the adapter again."
            ) from None
        if probes.keys() != {"probe.llm", "probe.encoder"}:
            raise InputError(f"{weights} lacks its probes; copy or train the adapter again.")
        return cls(config, former.eval(), probes, folder)

    def save_pretrained(self, folder: str | os.PathLike[str], llm: PreTrainedModel | None = None) -> None:
        """Writes the adapter; an older adapter in the folder is replaced whole or not at all.

        Args:
            llm: the peft-wrapped LLM whose LoRA belongs to the adapter, where it was trained jointly.

        Raises:
            InputError: the folder is a file, or holds what is no adapter.
        """
        target = Path(folder)
        _check_target(target)
        with whole_folder(target) as new:
            text = json.dumps(asdict(self.config), ensure_ascii=False, indent=2)
            (new / "config.json").write_text(text + "\n", encoding="utf-8")
            tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in self.former.state_dict().items()}
            save_file(tensors | self.probes, new / "model.safetensors")
            (new / "README.md").write_text(model_card(self.config), encoding="utf-8")
            if llm is not None:
                save_lora(llm, new / "lora", self.config.llm.name)
            for part in ("encoder", "lora"):
                self._carry_over(part, new)
        self.folder = target

    def push_to_hub(self, repository: str, private: bool = False) -> str:
        """Uploads a saved adapter's folder, model card included; returns its address.

        Raises:
            InputError: the adapter has not been saved yet.
        """
        if self.folder is None:
            raise InputError("The adapter has no folder yet; call save_pretrained before push_to_hub.")
        from huggingface_hub import HfApi

        hub = HfApi()
        hub.create_repo(repository, private=private, exist_ok=True)
        return str(hub.upload_folder(repo_id=repository, folder_path=self.folder))

    def attach_encoder_lora(self, folder: Path) -> None:
        """Makes the encoder's LoRA part of what is saved."""
        self._encoder_source = folder

    def _carry_over(self, part: str, new: Path) -> None:
        source = None if self.folder is None else self.folder / part
        if part == "encoder" and self._encoder_source is not None:
            source = self._encoder_source
        if source is None or (new / part).exists():
            return
        if source.is_dir():
            shutil.copytree(source, new / part)
        elif source.is_file():
            shutil.copy(source, new / part)

    def with_calibration(self, calibration: Calibration) -> Adapter:
        """The same adapter with other probabilities."""
        changed = Adapter(replace(self.config, calibration=calibration), self.former, self.probes, self.folder)
        changed._encoder_source = self._encoder_source
        return changed

    def with_threshold(self, threshold: float | None) -> Adapter:
        """The same adapter, answering and citing from another probability of relevance on; None leaves its own.

        Raises:
            InputError: it is no probability.
        """
        if threshold is None:
            return self
        if not 0 <= threshold <= 1:
            raise InputError(f"The threshold is {threshold}; it is a probability of relevance, from 0 to 1.")
        return self.with_calibration(replace(self.config.calibration, threshold=threshold))

    @property
    def encoder_lora(self) -> Path | None:
        """Folder of the encoder's LoRA, where there is one."""
        return self._part("encoder")

    @property
    def llm_lora(self) -> Path | None:
        """Folder of the LLM's LoRA, where there is one."""
        return self._part("lora")

    def _part(self, name: str) -> Path | None:
        folder = None if self.folder is None else self.folder / name
        return folder if folder is not None and folder.is_dir() else None

    def check_llm(self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        """Refuses an LLM that the adapter was not trained with; warns of another quantisation or dtype.

        Raises:
            InputError: architecture, size, vocabulary or embedding rows differ; says which.
        """
        check_llm(self.config.llm, self.probes["probe.llm"], llm, tokenizer)

    def check_encoder(self, encoder: FeatureEncoder) -> None:
        """Refuses an encoder whose vectors are not those the adapter was trained on.

        Raises:
            InputError: dimension, similarity or vectors differ.
        """
        check_encoder(self.config.encoder, self.probes["probe.encoder"], encoder)


def _locate(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    if Path(name).exists() or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(f"There is no adapter folder {name}; check the path.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "README.md"]))
    except Exception as error:  # the hub client raises many kinds; each means the adapter can't be had
        raise InputError(
            f"There is no adapter folder {name}, and the hub gave none ({type(error).__name__})."
        ) from None


def _check_target(folder: Path) -> None:
    """Raises InputError where saving an adapter would delete what is none."""
    if folder.is_dir() and any(folder.iterdir()) and not is_adapter(folder):
        raise InputError(f"The folder {folder} holds other files, which saving would delete; name a new folder.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a new folder for the adapter.")
