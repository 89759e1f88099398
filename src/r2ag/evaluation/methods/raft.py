"""`raft=ADAPTER_FOLDER`: plain RAG by an LLM that was trained, through a LoRA, to answer from such lists.

`raft:N=ADAPTER_FOLDER` reads the N documents nearest to the question.
"""

from __future__ import annotations

from r2ag.errors import InputError
from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench, adapter_settings
from r2ag.evaluation.methods.rag import Rag, top_n_settings


def create(spec: Spec, bench: Bench) -> Rag:
    """Reads all documents, or the N nearest, with the prompt that it was trained on.

    Raises:
        InputError: the adapter was trained for another method.
    """
    top_n = spec.optional_count()
    adapter = bench.reader(spec.folder).adapter
    if adapter.config.method != "raft":
        raise InputError(f"The method {spec} needs an adapter of RAFT, as {spec.base}=ADAPTER_FOLDER.")
    reader = bench.plain_reader(adapter.config.template, spec.folder)
    settings = bench.base_settings() | adapter_settings(adapter) | top_n_settings(bench, top_n)
    return Rag(spec.name, reader, bench.max_new_tokens, settings, top_n)
