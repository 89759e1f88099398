"""transformers' Trainer for R²AG: it saves and resumes the trainable parts only."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from r2ag.errors import InputError
from r2ag.method.model import R2AGModel
from r2ag.training.collator import Collator
from r2ag.training.config import TrainingConfig
from r2ag.training.lists import TrainingList, TrainingLists
from r2ag.training.objective import TrainingModel

WEIGHTS = "trainable.safetensors"


class R2AGTrainer(Trainer):
    """Takes the lists in their own order, so that a resumed run goes on with the list where it stopped."""

    def __init__(self, *arguments: Any, lora_learning_rate: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lora_learning_rate = lora_learning_rate
        self._parts: dict[str, list[float]] = {"matching_loss": [], "language_loss": []}

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW, with a learning rate of its own for the LLM's LoRA."""
        if self.optimizer is None:
            learning = [(n, p) for n, p in self._own_model().named_parameters() if p.requires_grad]
            groups: list[dict[str, Any]] = [
                {"params": [p for n, p in learning if "lora_" not in n]},
                {"params": [p for n, p in learning if "lora_" in n], "lr": self.lora_learning_rate},
            ]
            groups = [group for group in groups if group["params"]]
            self.optimizer = torch.optim.AdamW(groups, lr=self.args.learning_rate, weight_decay=0.0)
        optimizer: torch.optim.Optimizer = self.optimizer
        return optimizer

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of one micro-batch; its two parts are kept for the log."""
        losses = model(**inputs)
        if model.training:
            for name, values in self._parts.items():
                values.append(float(losses[name]))
        return (losses["loss"], {"loss": losses["loss"].detach()}) if return_outputs else losses["loss"]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Adds the means of L_QDM and L_LM since the last log."""
        for name, values in self._parts.items():
            real = [value for value in values if not math.isnan(value)]
            if real and "loss" in logs:
                logs[name] = sum(real) / len(real)
                values.clear()
        super().log(logs, *args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        lists: Any = train_dataset or self.train_dataset
        return SequentialSampler(lists)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        save_file(trainable_state(self._own_model()), folder / WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trainable_state(model or self._own_model(), Path(resume_from_checkpoint) / WEIGHTS)

    def _own_model(self) -> nn.Module:
        assert self.model is not None
        model: nn.Module = self.accelerator.unwrap_model(self.model)
        return model

    def _load_best_model(self) -> None:
        load_trainable_state(self._own_model(), Path(str(self.state.best_model_checkpoint)) / WEIGHTS)


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters that learn, and the R²-Former's buffers (feature means and deviations)."""
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if name in names or ".former." in f".{name}"
    }


def load_trainable_state(model: nn.Module, file: Path) -> None:
    """Restores what `trainable_state` returned; everything else stays as it is."""
    model.load_state_dict(load_file(file), strict=False)


class LossLog(TrainerCallback):
    """Writes every log entry to log.jsonl in the output folder."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Appends one line."""
        if state.is_world_process_zero:
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": state.global_step} | (logs or {})) + "\n")


def make_trainer(
    model: R2AGModel,
    lists: TrainingLists,
    held: list[TrainingList],
    collator: Collator,
    config: TrainingConfig,
    work: Path,
) -> R2AGTrainer:
    """A trainer that evaluates, checkpoints and stops as every run of this project does."""
    wrapped = TrainingModel(
        model,
        answers=float(config.targets != "distilled"),
        distillation=config.distillation or float(config.targets == "distilled"),
        matching=config.matching_weight,
        frozen=[model.llm] * (not config.trains_llm) + [model.former] * config.freeze_relevance,
    )
    steps = max(1, len(lists) // config.batch_size)
    every = -(-steps // config.evaluations)  # rounded up: the last evaluation is the one at the end
    arguments = TrainingArguments(
        output_dir=str(work),
        max_steps=steps,
        per_device_train_batch_size=config.micro_batch_size,
        per_device_eval_batch_size=config.micro_batch_size,
        gradient_accumulation_steps=_accumulated(config),
        # Where no list of a step has a prompt, the LLM's LoRA gets no gradient.
        ddp_find_unused_parameters=config.trains_llm,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, steps // 20),
        max_grad_norm=1.0,
        seed=config.seed,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        logging_steps=max(1, min(10, every)),
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,  # early stopping counts on
        remove_unused_columns=False,
        label_names=["targets"],
        dataloader_num_workers=0,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=os.environ.get("R2AG_NO_PROGRESS") == "1",
    )
    # One process uses one GPU: DataParallel would split the tensors of a batch, and not its prompts.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return R2AGTrainer(
        model=wrapped,
        args=arguments,
        train_dataset=lists,
        eval_dataset=held,
        data_collator=collator,
        callbacks=[LossLog(work / "log.jsonl"), EarlyStoppingCallback(config.patience)],
        lora_learning_rate=config.lora_learning_rate,
    )


def _accumulated(config: TrainingConfig) -> int:
    """Micro-batches of one process in a step, so that a step has `batch_size` lists over all processes."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    count, rest = divmod(config.batch_size, config.micro_batch_size * processes)
    if rest:
        raise InputError(
            f"A step of {config.batch_size} lists can't be shared by {processes} processes; give a --batch-size that "
            f"is a multiple of {config.micro_batch_size * processes}."
        )
    return count
