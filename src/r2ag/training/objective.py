"""L = L_QDM + L_LM (eq. 9) of a batch, as one module that a Trainer can wrap, shard or distribute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from r2ag.method.model import R2AGModel, matching_loss
from r2ag.method.prompting import Prompt


class TrainingModel(nn.Module):
    """The model with its loss.

    Args:
        answers: weight of the targets' loss in L_LM.
        distillation: weight, in L_LM too, of the divergence from what the LLM says to the teachers.
        matching: weight of L_QDM.
        frozen: parts that stay in evaluation mode, so that what doesn't learn has no dropout.
    """

    def __init__(
        self,
        model: R2AGModel,
        answers: float = 1.0,
        distillation: float = 0.0,
        matching: float = 1.0,
        frozen: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.answers = answers
        self.distillation = distillation
        self.matching = matching
        self._frozen = tuple(frozen)  # no ModuleList, which would name their parameters twice

    def train(self, mode: bool = True) -> TrainingModel:
        """Trainer calls this before every step; frozen parts stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(
        self,
        features: Tensor,
        mask: Tensor,
        relevant: Tensor,
        relevance: Tensor,
        prompts: Sequence[Prompt | None],
        targets: Sequence[Sequence[int]],
        teachers: Sequence[Prompt | None],
    ) -> dict[str, Tensor]:
        """Losses of a batch: `loss`, `matching_loss`, `language_loss` (each a scalar, fp32).

        `relevant` are the gold labels that L_QDM learns, `relevance` what moves E^R (see R2Former), both (batch, k).
        A record whose prompt is None trains the matching loss alone; `language_loss` is NaN where no record has one.
        `teachers` are prompts without slots, read only where `distillation` has a weight.
        """
        output = self.model.describe(features, mask, relevance)
        matching = matching_loss(output.logits, relevant.to(output.logits.device), mask.to(output.logits.device)).mean()
        rows = [row for row, prompt in enumerate(prompts) if prompt is not None]
        if not rows:
            # Anchors still take part, with weight 0: distributed training wants a gradient for every parameter.
            return {
                "loss": self.matching * matching + 0.0 * output.anchors.sum(),
                "matching_loss": matching.detach(),
                "language_loss": torch.full_like(matching.detach(), torch.nan),
            }
        language = self._language_losses(
            [prompt for prompt in prompts if prompt is not None],
            output.anchors[rows],
            [targets[row] for row in rows],
            [teacher for teacher in teachers if teacher is not None],
        )
        loss = self.matching * matching + language.sum() / len(prompts)
        return {"loss": loss, "matching_loss": matching.detach(), "language_loss": language.detach().mean()}

    def _language_losses(
        self, prompts: Sequence[Prompt], anchors: Tensor, targets: Sequence[Sequence[int]], teachers: Sequence[Prompt]
    ) -> Tensor:
        """L_LM of each record, (records,)."""
        if not self.distillation:
            return self.answers * self.model.language_loss(prompts, anchors, targets)
        own, distance = self.model.answer_losses(prompts, anchors, targets, teachers)
        return self.answers * own + self.distillation * distance
