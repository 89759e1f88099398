"""Step 4 (eq. 4-6, 8, 9): the LLM with its R²-Former: prompts and anchors to mixed embeddings, and the losses.

There is no generation loop here: engines take the embeddings that `embed` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from r2ag.method.embeddings import MixedEmbeddings
from r2ag.method.former import Former, FormerOutput
from r2ag.method.prefix_cache import Openings, Unread
from r2ag.method.prompting import Prompt

IGNORED = -100  # label of a position that is padding


class R2AGModel(nn.Module):
    """A decoder-only LLM and the R²-Former that speaks to it."""

    def __init__(self, llm: PreTrainedModel, former: Former) -> None:
        super().__init__()
        self.llm = llm
        self.former = former
        self._openings = Openings(llm)

    @property
    def device(self) -> torch.device:
        """Where the LLM's embeddings are."""
        return next(self.llm.get_input_embeddings().parameters()).device

    def describe(self, features: Tensor, mask: Tensor, relevance: Tensor | None = None) -> FormerOutput:
        """Relevance logits and anchors of a batch of lists, in fp32 even under autocast (step 2; see R2Former)."""
        given = None if relevance is None else relevance.to(self.device)
        with torch.autocast(self.device.type, enabled=False):
            output: FormerOutput = self.former(features.to(self.device), mask.to(self.device), given)
        return output

    def embed(
        self, prompts: Sequence[Prompt], anchors: Tensor | None, targets: Sequence[Sequence[int]] = ()
    ) -> MixedEmbeddings:
        """Token embeddings of the prompts (and targets behind them) with E^R in the slots (eq. 4).

        Args:
            anchors: (batch, k, slots, h₂); row i of a prompt's slots is document i. None leaves prompts without slots.
            targets: ids that follow each prompt, in training.
        """
        ids = [[*prompt.ids, *target] for prompt, target in zip(prompts, targets or [()] * len(prompts), strict=True)]
        length = max(len(sequence) for sequence in ids)
        pads = [length - len(sequence) for sequence in ids]
        table = torch.tensor(
            [[0] * pad + sequence for pad, sequence in zip(pads, ids, strict=True)], device=self.device
        )
        mask = torch.tensor([[0] * pad + [1] * (length - pad) for pad in pads], device=self.device)
        embeddings = self.llm.get_input_embeddings()(table)
        if anchors is not None:
            embeddings = _place(embeddings, anchors, prompts, pads)
        return MixedEmbeddings(embeddings, mask, tuple(prompt.ids[: prompt.opening] for prompt in prompts))

    def answer_logits(self, mixed: MixedEmbeddings, count: int) -> Tensor:
        """Next-token logits at the last `count` positions only, fp32, (batch, count, vocabulary)."""
        # Cached openings are wrong once training changes the weights.
        learns = any(parameter.requires_grad for parameter in self.llm.parameters())
        unread = Unread.whole(mixed) if learns else self._openings.behind(mixed, adds=False)
        logits: Tensor = self.llm(**unread.arguments, logits_to_keep=count, use_cache=False).logits
        return logits.float()

    def language_loss(
        self, prompts: Sequence[Prompt], anchors: Tensor | None, targets: Sequence[Sequence[int]]
    ) -> Tensor:
        """Mean next-token loss of each target given its prompt (eq. 9's L_LM): fp32, (batch,)."""
        return _cross_entropy(self._target_logits(prompts, anchors, targets), self._labels(targets))

    def distillation_loss(
        self,
        prompts: Sequence[Prompt],
        anchors: Tensor | None,
        targets: Sequence[Sequence[int]],
        teachers: Sequence[Prompt],
    ) -> Tensor:
        """How far each target's next-token probabilities are from those that a prompt without slots gives it.

        KL(teacher ‖ here), averaged over the target's tokens: fp32, (batch,), 0 where the LLM reads the one prompt as
        the other. The teacher is this LLM as it came, without what its LoRA has learned.
        """
        return self.answer_losses(prompts, anchors, targets, teachers)[1]

    def answer_losses(
        self,
        prompts: Sequence[Prompt],
        anchors: Tensor | None,
        targets: Sequence[Sequence[int]],
        teachers: Sequence[Prompt],
    ) -> tuple[Tensor, Tensor]:
        """Both of the above, with the prompts read once: two of fp32, (batch,)."""
        labels = self._labels(targets)
        with torch.no_grad(), self._untrained_llm():
            teacher = self._target_logits(teachers, None, targets)
        here = self._target_logits(prompts, anchors, targets)
        return _cross_entropy(here, labels), _divergence(teacher, here, labels)

    def _labels(self, targets: Sequence[Sequence[int]]) -> Tensor:
        """Target ids behind padding, (batch, longest target)."""
        longest = max(len(target) for target in targets)
        rows = [[IGNORED] * (longest - len(target)) + list(target) for target in targets]
        return torch.tensor(rows, device=self.device)

    def _target_logits(
        self, prompts: Sequence[Prompt], anchors: Tensor | None, targets: Sequence[Sequence[int]]
    ) -> Tensor:
        """Logits that predict the targets' tokens, fp32, (batch, longest target, vocabulary)."""
        longest = max(len(target) for target in targets)
        return self.answer_logits(self.embed(prompts, anchors, targets), longest + 1)[:, :-1]

    def _untrained_llm(self) -> AbstractContextManager[None]:
        disable: Callable[[], AbstractContextManager[None]] = getattr(self.llm, "disable_adapter", nullcontext)
        return disable()


def embedding_table(llm: PreTrainedModel) -> Tensor:
    """The LLM's token embeddings as parameters, (vocabulary, h₂); some models scale them in the layer's output."""
    weight = llm.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight


def context_window(llm: PreTrainedModel) -> int | None:
    """Tokens that the LLM reads at most, where its configuration, or that of its text part, says so."""
    return getattr(llm.config.get_text_config(), "max_position_embeddings", None) or None


def matching_loss(logits: Tensor, relevant: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy over each list's real documents (eq. 8, L_QDM, averaged): (batch,)."""
    losses = F.binary_cross_entropy_with_logits(logits, relevant.to(logits.dtype), reduction="none")
    real = mask.to(losses.dtype)
    return (losses * real).sum(dim=-1) / real.sum(dim=-1)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
    return _mean_over_target(losses, labels)


def _divergence(teacher: Tensor, here: Tensor, labels: Tensor) -> Tensor:
    losses = F.kl_div(here.log_softmax(dim=-1), teacher.log_softmax(dim=-1), log_target=True, reduction="none")
    return _mean_over_target(losses.sum(dim=-1).where(labels != IGNORED, 0.0), labels)


def _mean_over_target(losses: Tensor, labels: Tensor) -> Tensor:
    return losses.sum(dim=-1) / (labels != IGNORED).sum(dim=-1)


def _place(embeddings: Tensor, anchors: Tensor, prompts: Sequence[Prompt], pads: Sequence[int]) -> Tensor:
    """E^R into the slots, cast to the LLM's dtype here and nowhere earlier."""
    rows, columns, documents, slots = [], [], [], []
    for row, (prompt, pad) in enumerate(zip(prompts, pads, strict=True)):
        for document, positions in enumerate(prompt.slots):
            for slot, position in enumerate(positions):
                rows.append(row)
                columns.append(position + pad)
                documents.append(document)
                slots.append(slot)
    values = anchors[rows, documents, slots].to(embeddings.dtype)
    index = tuple(torch.tensor(axis, dtype=torch.long, device=embeddings.device) for axis in (rows, columns))
    return embeddings.index_put(index, values)
