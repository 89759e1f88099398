"""Everything of an adapter that is not a tensor: its config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from r2ag.adapter.identity import EncoderIdentity, LLMIdentity
from r2ag.errors import InputError
from r2ag.method.calibration import Calibration
from r2ag.method.former import FormerConfig
from r2ag.method.prompting import PromptTemplate
from r2ag.method.templates import DEFAULT_PLAIN

FORMAT_VERSION = 1
Method = Literal["r2ag", "learned-tokens", "xrag", "raft"]


@dataclass(frozen=True)
class AdapterConfig:
    """Everything of an adapter that is not a tensor."""

    method: Method
    llm: LLMIdentity
    encoder: EncoderIdentity
    former: FormerConfig
    template: PromptTemplate
    calibration: Calibration = field(default_factory=Calibration)
    plain_prompt: str = (
        DEFAULT_PLAIN  # the family that answers best in plain RAG with this LLM, chosen on training records
    )
    plain_top_n: int = 3  # and the number of documents with which it does
    training: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, of whatever format; a folder of an LLM has files of the same names."""
    try:
        fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return "format_version" in fields and (folder / "model.safetensors").is_file()
    except (OSError, ValueError, TypeError):
        return False


def read_config(file: Path) -> AdapterConfig:
    """Reads and checks config.json.

    Raises:
        InputError: missing, not JSON, of a newer format, or with fields that are wrong.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        version = fields.pop("format_version")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise InputError(f"{file} is missing or not an adapter's config.json; check the adapter's path.") from None
    if version != FORMAT_VERSION:
        raise InputError(f"{file} has format_version {version}, this r2ag reads {FORMAT_VERSION}; upgrade r2ag.")
    try:
        if fields["method"] not in get_args(Method):
            raise InputError(f"unknown method {fields['method']!r}")
        former = FormerConfig(**{**fields["former"], "features": tuple(fields["former"]["features"])})
        llm = LLMIdentity(**{**fields["llm"], "probe_tokens": tuple(fields["llm"]["probe_tokens"])})
        return AdapterConfig(
            method=fields["method"],
            llm=llm,
            encoder=EncoderIdentity(**fields["encoder"]),
            former=former,
            template=PromptTemplate(**fields["template"]),
            calibration=Calibration(**fields["calibration"]),
            plain_prompt=fields["plain_prompt"],
            plain_top_n=fields["plain_top_n"],
            training=fields["training"],
        )
    except (KeyError, TypeError, InputError) as error:
        raise InputError(f"{file} lacks or misnames a field ({error}); copy or train the adapter again.") from None
