"""Loads bi-encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2ag.models.loading import loading
from r2ag.models.wheels import DEFAULT_RETRIEVER, retriever_folder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def load_sentence_transformer(name: str, device: str | None = None) -> SentenceTransformer:
    """Loads a bi-encoder by folder or hub name; the default one comes from its wheel where that is installed.

    Raises:
        InputError: the name is unknown or the folder holds no such model.
    """
    source = str(retriever_folder() or name) if name == DEFAULT_RETRIEVER else name
    with loading("retriever", name, source):
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(source, device=device, trust_remote_code=False)
