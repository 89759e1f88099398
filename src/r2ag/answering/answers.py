"""Step from retrieval, relevance and reading to the Answer that people get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from r2ag.adapter.adapter import Adapter
from r2ag.answering.citations import cite
from r2ag.answering.reader import Assessment, Reading
from r2ag.types import Answer, RankedList, ScoredDocument


@dataclass(frozen=True)
class Retrieved:
    """A question with what was found for it."""

    ranked: RankedList
    retrieve_ms: float


@dataclass(frozen=True)
class Selection:
    """A question with what was found, how relevant that is, and which of it is worth reading.

    assessment: of the one list; None where nothing was found. keep: indices of the documents to read, in their order;
    empty if the LLM is not asked.
    """

    retrieved: Retrieved
    assessment: Assessment | None
    keep: tuple[int, ...]


@dataclass(frozen=True)
class AnswerBuilder:
    """Answers by one adapter; `retriever` is the name of the encoder that describes the documents."""

    adapter: Adapter
    retriever: str

    def of_nothing(self, retrieved: Retrieved) -> Answer:
        """Where no document was found."""
        timings = {"retrieve": retrieved.retrieve_ms, "features": 0.0, "former": 0.0, "prefill": 0.0, "decode": 0.0}
        return Answer(
            question=retrieved.ranked.question,
            text="",
            documents=(),
            abstained=True,
            timings_ms=timings | {"total": retrieved.retrieve_ms},
            usage={"prompt_tokens": 0, "completion_tokens": 0},
            models=self._models(),
        )

    def of_reading(
        self, retrieved: Retrieved, assessment: Assessment, keep: Sequence[int], reading: Reading | None
    ) -> Answer:
        """Where documents were found.

        Args:
            assessment: of the one list that was found.
            keep: indices of the documents that were read.
            reading: None where the LLM was not asked.
        """
        scored = self._scored(retrieved.ranked, assessment, keep)
        text = "" if reading is None else reading.generation.text
        timings = {
            "retrieve": retrieved.retrieve_ms,
            "features": assessment.features_ms,
            "former": assessment.former_ms,
            "prefill": 0.0 if reading is None else reading.generation.prefill_ms,
            "decode": 0.0 if reading is None else reading.generation.decode_ms,
        }
        return Answer(
            question=retrieved.ranked.question,
            text=text,
            documents=scored,
            citations=cite(text, scored, self.adapter.config.calibration.threshold),
            abstained=reading is None,
            shortened=0 if reading is None else reading.prompt.shortened,
            timings_ms=timings | {"total": sum(timings.values())},
            usage={
                "prompt_tokens": 0 if reading is None else len(reading.prompt),
                "completion_tokens": 0 if reading is None else reading.generation.completion_tokens,
            },
            models=self._models(),
            finish_reason="stop" if reading is None else reading.generation.finish_reason,
        )

    def _scored(self, ranked: RankedList, assessment: Assessment, keep: Sequence[int]) -> tuple[ScoredDocument, ...]:
        names = self.adapter.config.former.named_features
        return tuple(
            ScoredDocument(
                rank=index + 1,
                document=document,
                features=_known(names, assessment.features[0, index, : len(names)].tolist()),
                relevance_probability=assessment.probabilities[0][index],
                used=index in keep,
            )
            for index, document in enumerate(ranked.documents)
        )

    def _models(self) -> dict[str, str]:
        return {
            "llm": self.adapter.config.llm.name,
            "retriever": self.retriever,
            "adapter": "" if self.adapter.folder is None else self.adapter.folder.name,
        }


def _known(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    return {name: value for name, value in zip(names, values, strict=True) if not math.isnan(value)}
