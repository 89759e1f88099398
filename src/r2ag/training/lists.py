"""The lists that training draws from records: how many documents, which, and in what order.

Some lists are shuffled: in the encoder's order the rank says nearly all that relevance says, and the LLM could ignore
E^R. Some are filled with passages of other records, since only long lists train late positions. Lists of long
documents are shorter, since documents that are cut to fit the prompt lose their answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch.utils.data import Dataset

from r2ag.encoder.encoder import rank_by_similarity
from r2ag.training.config import TrainingConfig
from r2ag.types import RankedList, Record


@dataclass(frozen=True)
class DescribedRecord:
    """A record with its documents' vectors."""

    record: Record
    ranked: RankedList


@dataclass(frozen=True)
class TrainingList:
    """One list to learn from; without `answer` it trains L_QDM alone."""

    ranked: RankedList
    answer: str | None
    drop_features: bool = False
    gold_relevance: bool = False  # E^R is moved by the gold labels instead of the head's probabilities


@dataclass(frozen=True)
class ListSampler:
    """Draws lists from records, each from its own seed, so that a run can stop and continue anywhere.

    Args:
        fits: whether a prompt holds a list uncut. Lists lose their last distractors until they fit, except for the long
            ones, which are there for their many positions.
    """

    records: Sequence[DescribedRecord]
    config: TrainingConfig
    max_documents: int
    fits: Callable[[RankedList], bool] = lambda ranked: True

    def draw(self, index: int, key: object, k: int | None = None) -> TrainingList:
        """A list from record `index`; equal arguments give equal lists.

        Args:
            key: tells draws from the same record apart (the epoch, say).
            k: the number of documents, drawn at random where None.
        """
        generator = random.Random(f"{self.config.seed}:{index}:{key}")
        described = self.records[index]
        long = generator.random() < self.config.long_lists
        count = self._count(generator, long) if k is None else k
        without = generator.random() < self.config.without_relevant
        ranked = self._choose(described.ranked, index, count, without, generator)
        if k is None and not long:
            ranked = self._fitting(ranked)
        ranked = self._ordered(ranked, generator)
        answerable = not without and any(document.relevant for document in ranked.documents)
        answer = described.record.answers[0] if answerable else None
        return TrainingList(ranked, answer, generator.random() < self.config.feature_dropout)

    def _count(self, generator: random.Random, long: bool) -> int:
        most = min(self.config.most_documents, self.max_documents)
        if long:
            return generator.randint(most, self.max_documents)
        return generator.randint(min(self.config.fewest_documents, most), most)

    def _fitting(self, ranked: RankedList) -> RankedList:
        while len(ranked) > 1 and not self.fits(ranked):
            ranked = ranked.reordered(list(range(len(ranked) - 1)))
        return ranked

    def _choose(
        self, ranked: RankedList, index: int, count: int, without: bool, generator: random.Random
    ) -> RankedList:
        """Relevant documents first (unless taken out), then distractors, then passages of other records."""
        relevant = [i for i, document in enumerate(ranked.documents) if document.relevant]
        distractors = [i for i, document in enumerate(ranked.documents) if not document.relevant]
        generator.shuffle(relevant)
        # Near distractors are likelier than far ones, as they are in a retriever's top k.
        nearness = ranked.document_vectors @ ranked.query_vector
        distractors.sort(key=lambda i: -(float(nearness[i]) + 0.3 * generator.random()))
        chosen = ([] if without else relevant) + distractors
        listed = ranked.reordered(chosen[:count])
        missing = count - len(listed)
        return self._filled(listed, index, missing, generator) if missing > 0 else listed

    def _filled(self, ranked: RankedList, index: int, missing: int, generator: random.Random) -> RankedList:
        documents, vectors = list(ranked.documents), [ranked.document_vectors]
        texts = {document.passage for document in self.records[index].ranked.documents}
        for _ in range(4 * missing):
            if missing == 0:
                break
            other = generator.choice(self.records).ranked
            position = generator.randrange(len(other))
            document = other.documents[position]
            if document.passage not in texts:
                texts.add(document.passage)
                documents.append(replace(document, relevant=False))
                vectors.append(other.document_vectors[position : position + 1])
                missing -= 1
        return RankedList(ranked.question, tuple(documents), ranked.query_vector, np.concatenate(vectors))

    def _ordered(self, ranked: RankedList, generator: random.Random) -> RankedList:
        by_encoder = self.config.order == "encoder" or (self.config.order == "mixed" and generator.random() < 0.5)
        if by_encoder:
            return rank_by_similarity(ranked)
        order = list(range(len(ranked)))
        generator.shuffle(order)
        return ranked.reordered(order)


class TrainingLists(Dataset[TrainingList]):
    """Every list of a run in its final order: all records once an epoch, in an order that the seed gives."""

    def __init__(self, sampler: ListSampler, epochs: float) -> None:
        self.sampler = sampler
        count, self.order = len(sampler.records), list[int]()
        length = round(epochs * count)
        for epoch in range(-(-length // count)):
            records = list(range(count))
            random.Random(f"{sampler.config.seed}:{epoch}").shuffle(records)
            self.order += records[: length - len(self.order)]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> TrainingList:
        config, epoch = self.sampler.config, position // len(self.sampler.records)
        drawn = self.sampler.draw(self.order[position], epoch)  # IndexError ends a loop over the lists
        # The curriculum: gold labels until half-way, since the LLM needs hundreds of lists to learn to follow its
        # anchors; then more and more of the head's own probabilities, which are less sure.
        share = config.gold_relevance * min(1.0, 2 - 2 * position / len(self))
        return replace(drawn, gold_relevance=random.Random(f"{config.seed}:{position}:gold").random() < share)
