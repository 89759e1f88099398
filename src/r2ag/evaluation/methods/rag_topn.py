"""`rag-topn`, `rag-topn:N`: plain RAG on the N documents nearest to the question."""

from __future__ import annotations

from r2ag.evaluation.methods.base import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.rag import Rag, plain_rag


def create(spec: Spec, bench: Bench) -> Rag:
    """With the N and the prompt that training records chose, or another N."""
    config = bench.reader(spec.folder).adapter.config
    return plain_rag(spec, config.plain_prompt, bench, spec.count() if spec.argument else config.plain_top_n)
