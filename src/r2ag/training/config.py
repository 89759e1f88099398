"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from r2ag.errors import InputError
from r2ag.method.templates import DEFAULT_PLAIN

Order = Literal["encoder", "shuffled", "mixed"]
# What the LLM learns to write: gold answers; its own correct answers to the relevant documents alone ("own"); or all of
# these answers, each token as probably as it is there ("distilled": among distractors as if there were none).
Targets = Literal["gold", "own", "distilled"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of `r2ag train`. They are the published ones; docs/adapters.md says where and why ours differ."""

    method: Literal["r2ag", "learned-tokens", "xrag", "raft"] = "r2ag"
    lora: bool = False  # train the LLM jointly through a LoRA (RAFT has one always)
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    epochs: float = 1.0  # 0 trains the relevance alone
    batch_size: int = 8  # lists a step
    micro_batch_size: int = 1  # lists read at once; more is faster on a GPU, and slower on a CPU for its padding
    learning_rate: float = 1e-3
    lora_learning_rate: float = 3e-4  # of the LLM's LoRA, which starts from an LLM that can already read
    matching_epochs: int = 6  # of L_QDM alone, before L_LM; takes seconds and gives e^R a meaning to start from
    matching_learning_rate: float = 3e-4
    matching_weight: float = 1.0  # of L_QDM in the loss
    freeze_relevance: bool = False  # after that only the projection to E^R learns; L_LM would blunt the head
    order: Order = "mixed"  # of the documents: by the encoder, shuffled, or half and half
    fewest_documents: int = 1
    most_documents: int = 10
    long_lists: float = 0.1  # share of lists with up to max_documents
    without_relevant: float = 0.1  # share of lists that lose their relevant documents; they train L_QDM alone
    feature_dropout: float = 0.0  # share of lists whose features are replaced by their means
    gold_relevance: float = 0.0  # share of lists whose E^R sees gold labels; falls to none from half-way on
    distillation: float = 0.0  # weight, beside the targets, of the divergence from the relevant documents alone
    prompt: str = DEFAULT_PLAIN  # the family of the prompt's words
    targets: Targets = "gold"
    max_prompt_tokens: int = 700
    gradient_checkpointing: bool = False  # compute each layer again on the way back: slower, with less memory
    held_back: float = 0.15
    evaluations: int = 3  # on the stopping records, spread evenly over the run
    patience: int = 2  # evaluations without a better loss before training stops
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.micro_batch_size:
            raise InputError("batch_size must be a multiple of micro_batch_size; change either.")
        if self.freeze_relevance and self.method != "r2ag":
            raise InputError(
                f"freeze_relevance keeps an R²-Former's relevance, and {self.method} has none; leave it out."
            )
        if not self.epochs and (self.method != "r2ag" or self.trains_llm or not self.matching_epochs):
            raise InputError("Without epochs the relevance alone is trained: by matching_epochs, and with no LoRA.")
        if not 0 < self.held_back < 0.9:
            raise InputError("held_back must be a share between 0 and 0.9 of the records.")
        if not 1 <= self.fewest_documents <= self.most_documents:
            raise InputError("fewest_documents must be at least 1 and at most most_documents.")

    @property
    def has_teacher(self) -> bool:
        """Whether the LLM learns from what it says to the relevant documents alone."""
        return self.targets == "distilled" or self.distillation > 0

    @property
    def trains_llm(self) -> bool:
        """Whether a LoRA on the LLM learns too."""
        return self.lora or self.method == "raft"
