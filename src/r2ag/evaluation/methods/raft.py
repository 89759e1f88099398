"""`raft=ADAPTER_FOLDER`: plain RAG by an LLM that was trained, through a LoRA, to answer from such lists."""

from __future__ import annotations

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings
from r2ag.evaluation.methods.rag import Rag


def create(spec: Spec, bench: Bench) -> Rag:
    """Reads all documents with the prompt that it was trained on.

    Raises:
        InputError: the adapter was trained for another method.
    """
    spec.refuse_argument()
    adapter = bench.reader(spec.folder).adapter
    if adapter.config.method != "raft":
        raise InputError(f"The method {spec} needs an adapter of RAFT, as {spec.base}=ADAPTER_FOLDER.")
    reader = bench.plain_reader(adapter.config.template, spec.folder)
    return Rag(spec.name, reader, bench.max_new_tokens, bench.base_settings() | adapter_settings(adapter))
