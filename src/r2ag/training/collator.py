"""Lists to the tensors and prompts of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from r2ag.method.features import list_features
from r2ag.method.prompting import Prompt, PromptBuilder
from r2ag.training.lists import TrainingList
from r2ag.types import RankedList, Similarity


@dataclass(frozen=True)
class Collator:
    """Builds features, labels, prompts and targets; a list whose prompt lost the answer trains L_QDM alone.

    With a `teacher`, each prompt has another beside it that holds the relevant documents only.
    """

    builder: PromptBuilder
    similarity: Similarity
    features: Sequence[str]
    mean_features: torch.Tensor  # (number of features,), what stands in for dropped features
    max_prompt_tokens: int
    teacher: PromptBuilder | None = None

    def __call__(self, lists: Sequence[TrainingList]) -> dict[str, Any]:
        """Arguments of TrainingModel.forward."""
        features, mask = list_features([drawn.ranked for drawn in lists], self.similarity, self.features)
        for row, drawn in enumerate(lists):
            if drawn.drop_features:
                features[row] = self.mean_features
        relevant = torch.zeros(mask.shape)
        for row, drawn in enumerate(lists):
            relevant[row, : len(drawn.ranked)] = torch.tensor([float(bool(d.relevant)) for d in drawn.ranked.documents])
        # NaN: the head's own probability.
        given = [[drawn.gold_relevance] for drawn in lists]
        relevance = relevant.masked_fill(~torch.tensor(given), torch.nan)
        prompts, targets, teachers = [], [], []
        for drawn in lists:
            prompt = self._prompt(drawn) if drawn.answer is not None else None
            prompts.append(prompt)
            targets.append(self.builder.target(drawn.answer) if prompt is not None and drawn.answer else [])
            teachers.append(None if prompt is None else self._teacher(drawn))
        tensors = {"features": features, "mask": mask, "relevant": relevant, "relevance": relevance}
        return tensors | {"prompts": prompts, "targets": targets, "teachers": teachers}

    def fits(self, ranked: RankedList) -> bool:
        """Whether a prompt holds the list's documents uncut."""
        return not self.builder.build(ranked.question, ranked.documents, self.max_prompt_tokens).shortened

    def _teacher(self, drawn: TrainingList) -> Prompt | None:
        if self.teacher is None:
            return None
        relevant = [document for document in drawn.ranked.documents if document.relevant]
        return self.teacher.build(drawn.ranked.question, relevant, self.max_prompt_tokens)

    def _prompt(self, drawn: TrainingList) -> Prompt | None:
        prompt = self.builder.build(drawn.ranked.question, drawn.ranked.documents, self.max_prompt_tokens)
        if prompt.shortened and drawn.answer is not None and not self._still_answers(drawn, prompt):
            return None
        return prompt

    def _still_answers(self, drawn: TrainingList, prompt: Prompt) -> bool:
        """Whether shortening left the answer in the text, where it stood there at all (yes and no never do)."""
        answer = str(drawn.answer).lower()
        stood = any(answer in d.passage.lower() for d in drawn.ranked.documents if d.relevant)
        return not stood or answer in str(self.builder.tokenizer.decode(list(prompt.ids))).lower()
