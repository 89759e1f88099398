"""How a store and an adapter recognise an encoder: by its vectors of a few fixed texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from r2ag.encoder.encoder import PROBE_TEXTS, TextEncoder

# The shipped adapter's fine-tuning moves these vectors to a cosine of 0.96 to 0.98 with those of the untuned encoder.
LEAST_SIMILARITY = 0.999


@dataclass(frozen=True)
class Probe:
    """An encoder as the vectors that it gives to PROBE_TEXTS: float32, shape (texts, dimension).

    Weights can't be compared instead: a server hides them, and merging a LoRA gives other last digits elsewhere.
    """

    name: str
    vectors: np.ndarray

    @classmethod
    def of(cls, encoder: TextEncoder | Probe) -> Probe:
        """Asks an encoder; a Probe is returned unchanged."""
        if isinstance(encoder, Probe):
            return encoder
        return cls(encoder.name, np.asarray(encoder.encode_queries(PROBE_TEXTS), dtype=np.float32))

    @property
    def dimension(self) -> int:
        """Length of one vector."""
        return int(self.vectors.shape[1])

    def same_as(self, other: Probe) -> bool:
        """Whether both are one encoder, under whatever name."""
        if self.vectors.shape != other.vectors.shape:
            return False
        lengths = np.linalg.norm(self.vectors, axis=1), np.linalg.norm(other.vectors, axis=1)
        if not np.allclose(*lengths, rtol=0.01):
            return False
        cosines = (self.vectors * other.vectors).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-12)
        return bool((cosines >= LEAST_SIMILARITY).all())
