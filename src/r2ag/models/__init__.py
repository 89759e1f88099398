"""Where models come from: a folder, the hub, or the package-index wheels that carry the two default models.

Importing this package loads no torch; the loaders import what they need when they are called.
"""

from r2ag.models.embedding import load_embedding
from r2ag.models.encoder import load_sentence_transformer
from r2ag.models.llm import load_llm, load_tokenizer, preferred_dtype, resolve_llm
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

__all__ = [
    "DEFAULT_LLM",
    "DEFAULT_RETRIEVER",
    "load_embedding",
    "load_llm",
    "load_sentence_transformer",
    "load_tokenizer",
    "preferred_dtype",
    "resolve_llm",
]
