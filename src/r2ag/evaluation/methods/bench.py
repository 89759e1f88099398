"""The readers and encoders that methods share: one base LLM serves all adapters that don't change its weights."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from r2ag.adapter.adapter import Adapter
from r2ag.answering.reader import Reader
from r2ag.encoder.encoder import weights_digest
from r2ag.errors import InputError
from r2ag.method.prompting import PromptTemplate
from r2ag.models.merged import check_base
from r2ag.types import RankedList

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from r2ag.encoder.encoder import FeatureEncoder


class Bench:
    """What the methods of one evaluation share.

    Args:
        reader: the main adapter with its LLM.
        encoder: the one that described the lists; an adapter with another encoder describes them again by its own.
        seed: of the permutations of `r2ag-permuted`.
    """

    def __init__(
        self, reader: Reader, encoder: FeatureEncoder | None = None, max_new_tokens: int = 32, seed: int = 0
    ) -> None:
        self.main = reader
        self.encoder = encoder
        self.max_new_tokens = max_new_tokens
        self.seed = seed
        self._readers: dict[str, Reader] = {"": reader}
        self._encoders: dict[str, FeatureEncoder | None] = {"": None}

    def reader(self, folder: str = "") -> Reader:
        """An adapter's reader; the main one without a folder.

        Raises:
            InputError: there is no such adapter, or it belongs to another LLM.
        """
        if folder not in self._readers:
            adapter = Adapter.from_pretrained(folder)
            adapter.check_llm(self.base_llm, self.main.tokenizer)
            self._readers[folder] = Reader(self._llm_of(adapter), self.main.tokenizer, adapter)
        return self._readers[folder]

    def own_encoder(self, folder: str = "") -> FeatureEncoder | None:
        """The adapter's feature encoder, where the lists were described by another one.

        Raises:
            InputError: it can't be loaded.
        """
        if folder not in self._encoders:
            self._encoders[folder] = self._other_encoder(self.reader(folder).adapter)
        return self._encoders[folder]

    def _other_encoder(self, adapter: Adapter) -> FeatureEncoder | None:
        if self.encoder is None:
            return None
        try:
            adapter.check_encoder(self.encoder)
        except InputError:
            return _load_encoder(adapter)
        return None

    def plain_reader(self, template: PromptTemplate, folder: str | None = None) -> Reader:
        """A reader of prompts without slots: by the base LLM, or by an adapter's where a folder is named."""
        source = self.main if folder is None else self.reader(folder)
        llm = self.base_llm if folder is None else source.model.llm
        adapter = source.adapter
        with_template = Adapter(replace(adapter.config, template=template), adapter.former, {}, adapter.folder)
        return Reader(llm, source.tokenizer, with_template)

    @cached_property
    def describing_encoder(self) -> FeatureEncoder:
        """The one that described the lists, for methods that encode texts of their own.

        Raises:
            InputError: it can't be loaded.
        """
        return self.encoder or _load_encoder(self.main.adapter)

    @cached_property
    def base_llm(self) -> PreTrainedModel:
        """The LLM without any adapter's LoRA.

        Raises:
            InputError: a LoRA is merged into the copy of it that is at hand.
        """
        from r2ag.models import load_llm

        llm = self.main.model.llm
        check_base(str(llm.name_or_path))
        if self.main.adapter.llm_lora is None:
            return llm
        return load_llm(str(llm.name_or_path), dtype=llm.dtype, device=llm.device)[0]

    def base_settings(self) -> dict[str, Any]:
        """What every method's answers depend on."""
        llm = self.main.model.llm
        return {"llm": self._llm, "dtype": str(llm.dtype), "max_new_tokens": self.max_new_tokens}

    @cached_property
    def _llm(self) -> str:
        return llm_fingerprint(self.main.model.llm)

    def encoder_settings(self, folder: str = "") -> dict[str, Any]:
        """Whose vectors the features come from."""
        encoder = self.own_encoder(folder) or self.encoder
        return {"encoder": "" if encoder is None else encoder.fingerprint}

    def _llm_of(self, adapter: Adapter) -> PreTrainedModel:
        if adapter.llm_lora is None:
            return self.base_llm
        from peft import PeftModel

        # Copied, since merging changes the weights that all other methods answer with.
        wrapped: Any = PeftModel.from_pretrained(copy.deepcopy(self.base_llm), str(adapter.llm_lora))
        return cast("PreTrainedModel", wrapped.merge_and_unload().eval())


def described(lists: Sequence[RankedList], encoder: FeatureEncoder | None) -> Sequence[RankedList]:
    """Lists with the vectors of another encoder; unchanged without one.

    This does not count as a method's time: a store would hold these vectors.
    """
    return lists if encoder is None else [encoder.describe(ranked.question, ranked.documents) for ranked in lists]


def llm_fingerprint(llm: PreTrainedModel) -> str:
    """Tells an LLM apart from others, also from one that stood in its folder before."""
    return f"{llm.name_or_path}:{weights_digest(llm)}"


def adapter_settings(adapter: Adapter) -> dict[str, Any]:
    """What an adapter adds to the settings of a method: its template, and a digest of all that it learned."""
    digest = hashlib.sha256()
    for key, tensor in sorted(adapter.former.state_dict().items()):
        digest.update(key.encode() + tensor.detach().float().cpu().numpy().tobytes())
    config = adapter.config
    digest.update(json.dumps([asdict(config.former), asdict(config.calibration)], sort_keys=True).encode())
    if adapter.llm_lora is not None:
        digest.update((adapter.llm_lora / "adapter_model.safetensors").read_bytes())
    return {"adapter": digest.hexdigest(), "template": asdict(config.template)}


def _load_encoder(adapter: Adapter) -> FeatureEncoder:
    from r2ag.adapter.loading import load_encoder

    return load_encoder(adapter)
