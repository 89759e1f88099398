"""The feature encoder: the bi-encoder whose vectors and similarity describe every list, whoever found it.

An adapter owns one. It is a sentence-transformers model, optionally with a LoRA that `r2ag train-encoder` made; the
LoRA is merged at load, so that encoding costs what the plain model costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from r2ag.errors import InputError
from r2ag.types import Document, RankedList, Similarity

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

# Enough for a thought, and read whole by encoders that read 256 tokens.
PASSAGE_TOKENS = 200
DIGESTED_AT_ONCE = 1 << 20  # numbers

# What tells encoders apart, together with the vectors that they give to them.
PROBE_TEXTS = (
    "Which river runs through the capital?",
    "Printing with movable type spread through Europe in the fifteenth century.",
    "蜜蜂用舞蹈告诉同伴花在哪里。",
)


class TextEncoder(Protocol):
    """What turns texts into vectors whose dot product is their similarity; a FeatureEncoder, or a server's model."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def dimension(self) -> int:
        """Length of one vector."""

    @property
    def max_tokens(self) -> int:
        """The longest text that it reads whole."""

    def count_tokens(self, text: str) -> int:
        """Length of a text as `max_tokens` counts it."""

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        """Vectors of questions: float32, shape (len(queries), dimension)."""

    def encode_documents(self, documents: Sequence[Document]) -> np.ndarray:
        """Vectors of documents: float32, shape (len(documents), dimension)."""


class FeatureEncoder:
    """Texts to vectors, with the encoder's own similarity.

    With cosine similarity the vectors come out at unit length, so that a dot product is the cosine.
    """

    def __init__(self, model: SentenceTransformer, name: str, lora: Path | None = None) -> None:
        self.model = model
        self.name = name
        self.lora = lora
        self.similarity: Similarity = "dot" if model.similarity_fn_name == "dot" else "cosine"

    @classmethod
    def from_pretrained(cls, name: str, lora: Path | None = None, device: str | None = None) -> FeatureEncoder:
        """Loads a sentence-transformers model by folder or hub name; `lora` is a folder that peft wrote.

        Raises:
            InputError: the name is unknown or the folder holds no such model.
        """
        from r2ag.models import load_sentence_transformer

        model = load_sentence_transformer(name, device)
        if lora is not None:
            _merge_lora(model, lora)
        return cls(model, name, lora)

    @property
    def dimension(self) -> int:
        """Length of one vector."""
        return int(self.model.get_embedding_dimension() or 0)

    @property
    def max_tokens(self) -> int:
        """The longest text that it reads whole, in tokens; what it adds of its own is left out."""
        return int(self.model.max_seq_length or 512) - int(self.model.tokenizer.num_special_tokens_to_add())

    @cached_property
    def fingerprint(self) -> str:
        """Tells the weights apart: encoders with one fingerprint give the same vectors."""
        return f"{self.name}:{weights_digest(self.model)}"

    @property
    def passage_tokens(self) -> int:
        """The length of passages, in tokens: PASSAGE_TOKENS, or all that this encoder reads where that is less."""
        return min(PASSAGE_TOKENS, self.max_tokens)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without the special ones that the encoder adds; one thread may count while another
        encodes."""
        return self._count_tokens(text)

    @cached_property
    def _count_tokens(self) -> Callable[[str], int]:
        return self.token_counter()

    def token_counter(self) -> Callable[[str], int]:
        """A `count_tokens` for another thread than the one that encodes: a tokenizer serves one thread at a time."""
        tokenizer = deepcopy(self.model.tokenizer)
        return lambda text: len(tokenizer(_encodable(text), add_special_tokens=False, verbose=False)["input_ids"])

    def encode_queries(self, queries: Sequence[str]) -> np.ndarray:
        """Vectors of questions: float32, shape (len(queries), dimension)."""
        return self._encode(queries, is_query=True)

    def encode_documents(self, documents: Sequence[Document], progress: bool = False) -> np.ndarray:
        """Vectors of documents (title and text): float32, shape (len(documents), dimension)."""
        return self._encode([document.passage for document in documents], progress=progress)

    def describe(
        self, question: str, documents: Sequence[Document], document_vectors: np.ndarray | None = None
    ) -> RankedList:
        """The documents in the order given, with this encoder's vectors; stored vectors save encoding them again.

        Raises:
            InputError: the vectors don't have shape (k, dimension) or are not finite numbers.
        """
        vectors = self.encode_documents(documents) if document_vectors is None else document_vectors
        vectors = np.asarray(vectors, dtype=np.float32)
        expected = (len(documents), self.dimension)
        if vectors.shape != expected or not np.isfinite(vectors).all():
            raise InputError(
                f"The vectors have shape {vectors.shape}, but {len(documents)} documents of the encoder "
                f"{self.name} need finite numbers of shape {expected}; give vectors that this encoder made."
            )
        return RankedList(question, tuple(documents), self.encode_queries([question])[0], vectors)

    def rank(
        self, question: str, documents: Sequence[Document], document_vectors: np.ndarray | None = None
    ) -> RankedList:
        """The documents by falling similarity to the question."""
        return rank_by_similarity(self.describe(question, documents, document_vectors))

    def _encode(self, texts: Sequence[str], is_query: bool = False, progress: bool = False) -> np.ndarray:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        encode = self.model.encode_query if is_query else self.model.encode_document
        vectors = encode(
            [legible(text) for text in texts],
            normalize_embeddings=self.similarity == "cosine",
            show_progress_bar=progress,
        )
        return np.asarray(vectors, dtype=np.float32)


def weights_digest(model: nn.Module) -> str:
    """Tells a model's weights apart from others', in sixteen characters."""
    digest = hashlib.sha256()
    for parameter in model.parameters():
        # In pieces, since a large LLM's embeddings in fp64 would not fit beside it.
        pieces = parameter.detach().flatten().split(DIGESTED_AT_ONCE)
        # Rounded: sums differ a little by the number of threads, and a merged LoRA by the machine.
        digest.update(f"{sum(float(piece.double().abs().sum()) for piece in pieces):.6e}".encode())
    return digest.hexdigest()[:16]


def rank_by_similarity(ranked: RankedList) -> RankedList:
    """By falling similarity. Ties are broken by the text, never by the order in which the documents came: in some data
    sets the gold document stands first."""
    scores = ranked.document_vectors @ ranked.query_vector
    order = sorted(range(len(ranked)), key=lambda i: (-float(scores[i]), ranked.documents[i].passage))
    return ranked.reordered(order)


def _encodable(text: str) -> str:
    """Tokenizers refuse lone surrogates; they become the replacement character."""
    return text.encode("utf-8", "replace").decode("utf-8")


def legible(text: str) -> str:
    """Control characters alone leave no token, which models whose tokenizer adds none of its own can't read."""
    clean = _encodable(text)
    return clean if any(letter.isprintable() and not letter.isspace() for letter in clean) else "?"


def _merge_lora(model: SentenceTransformer, folder: Path) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    from r2ag.models.loading import loading

    if not (folder / "adapter_config.json").is_file():
        raise InputError(
            f"{folder} holds no encoder LoRA (adapter_config.json is missing); make one with r2ag train-encoder."
        )
    with loading("encoder's LoRA", str(folder), str(folder)):
        model.load_adapter(str(folder))
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.merge()
