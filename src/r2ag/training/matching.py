"""The first stage: L_QDM alone (eq. 8), which gives the head, and so E^R, a meaning to start from."""

from __future__ import annotations

import random

import torch

from r2ag.method.former import R2Former
from r2ag.method.model import R2AGModel, matching_loss
from r2ag.training.collator import Collator
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import ListSampler, TrainingList

LISTS_A_STEP = 32
MOST_DOCUMENTS = 20


def train_matching(model: R2AGModel, sampler: ListSampler, collator: Collator, config: TrainingConfig) -> None:
    """Trains on lists of all lengths. The LLM reads nothing, so that this takes seconds."""
    former = model.former
    assert isinstance(former, R2Former)
    optimizer = torch.optim.Adam(former.parameters(), lr=config.matching_learning_rate)
    steps = config.matching_epochs * -(-len(sampler.records) // LISTS_A_STEP)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, max(1, steps))
    generator = random.Random(config.seed)
    most = min(MOST_DOCUMENTS, former.config.max_documents)
    former.train()
    for epoch in range(config.matching_epochs):
        order = list(range(len(sampler.records)))
        generator.shuffle(order)
        for start in range(0, len(order), LISTS_A_STEP):
            k = generator.randint(min(config.fewest_documents, most), most)
            drawn = [sampler.draw(index, f"matching {epoch}", k) for index in order[start : start + LISTS_A_STEP]]
            batch = collator([TrainingList(d.ranked, None, d.drop_features) for d in drawn])
            logits = model.describe(batch["features"], batch["mask"]).logits
            mask = batch["mask"].to(logits.device)
            loss = matching_loss(logits, batch["relevant"].to(logits.device), mask).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
