"""L = L_QDM + L_LM (eq. 9) of a batch, as one module that a Trainer can wrap, shard or distribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from r2ag.method.model import R2AGModel, matching_loss
from r2ag.method.prompting import Prompt

CONTRAST_MARGIN = 0.5


class TrainingModel(nn.Module):
    """The model with its loss.

    Args:
        contrast: weight of max(0, margin + L_LM(true features) − L_LM(permuted features)); 0 leaves it out.
        answers: weight of the targets' loss in L_LM.
        distillation: weight of the distance to what the LLM would say to the teachers, in L_LM too.
        matching: weight of L_QDM.
        frozen: parts that stay in evaluation mode whatever `train` says: what doesn't learn has no dropout.
    """

    def __init__(
        self,
        model: R2AGModel,
        contrast: float = 0.0,
        answers: float = 1.0,
        distillation: float = 0.0,
        matching: float = 1.0,
        frozen: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.contrast = contrast
        self.answers = answers
        self.distillation = distillation
        self.matching = matching
        self._frozen = tuple(frozen)  # no ModuleList, which would name their parameters twice

    def train(self, mode: bool = True) -> TrainingModel:
        """As Trainer calls it before every step; what is frozen stays as it is."""
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
        answers = _Answers(
            [prompt for prompt in prompts if prompt is not None],
            [targets[row] for row in rows],
            [teacher for teacher in teachers if teacher is not None],
            self.answers,
            self.distillation,
        )
        language = answers.loss(self.model, output.anchors[rows])
        loss = self.matching * matching + language.sum() / len(prompts)
        if self.contrast:
            rolled = _rolled(features, mask), mask, _rolled(relevance[..., None], mask)[..., 0]
            worse = answers.loss(self.model, self.model.describe(*rolled).anchors[rows])
            loss = loss + self.contrast * torch.relu(CONTRAST_MARGIN + language - worse).sum() / len(prompts)
        return {"loss": loss, "matching_loss": matching.detach(), "language_loss": language.detach().mean()}


@dataclass(frozen=True)
class _Answers:
    """What the LLM is to say to a batch's prompts: `targets`, and each word as probably as to `teachers`."""

    prompts: Sequence[Prompt]
    targets: Sequence[Sequence[int]]
    teachers: Sequence[Prompt]
    weight: float
    distillation: float

    def loss(self, model: R2AGModel, anchors: Tensor) -> Tensor:
        if not self.distillation:
            return self.weight * model.language_loss(self.prompts, anchors, self.targets)
        own, distance = model.answer_losses(self.prompts, anchors, self.targets, self.teachers)
        return self.weight * own + self.distillation * distance


def _rolled(features: Tensor, mask: Tensor) -> Tensor:
    """Each document gets the features of the one before it, the first those of the last: a permutation without fixed
    points that padding never enters."""
    lengths = mask.sum(dim=-1, keepdim=True)
    index = (torch.arange(mask.shape[1], device=mask.device)[None] - 1) % lengths.clamp(min=1)
    return features.gather(1, index[..., None].expand_as(features))
