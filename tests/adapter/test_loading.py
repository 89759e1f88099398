"""An adapter with the models that it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.errors import InputError
from r2ag.method.calibration import Calibration
from r2ag.models.lora import save_lora
from r2ag.pipeline import Pipeline
from tests.test_pipeline import CHAT, QUESTION
from tests.tiny import some_documents, tiny_adapter, tiny_encoder_folder, tiny_llm, tiny_tokenizer


@pytest.fixture
def saved(tmp_path) -> Path:
    """An adapter with LoRAs of both models, and the models' folders beside it."""
    from peft import LoraConfig, get_peft_model

    tokenizer = tiny_tokenizer(*CHAT)
    tokenizer.save_pretrained(tmp_path / "llm")
    tiny_llm(vocabulary=len(tokenizer)).save_pretrained(tmp_path / "llm")
    encoder = FeatureEncoder.from_pretrained(str(tiny_encoder_folder(tmp_path / "encoder")), device="cpu")
    encoder.model.add_adapter(LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False))
    save_lora(encoder.model.transformers_model, tmp_path / "tuned", encoder.name)
    llm = tiny_llm(vocabulary=len(tokenizer))
    adapter = tiny_adapter(llm, tokenizer, encoder=encoder, llm_name=str(tmp_path / "llm"))
    adapter.attach_encoder_lora(tmp_path / "tuned")
    adapter = adapter.with_calibration(Calibration(threshold=0.0))
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    adapter.save_pretrained(tmp_path / "adapter", get_peft_model(llm, lora))
    return tmp_path


def loaded(folder: Path, **options: Any) -> Pipeline:
    return Pipeline.from_pretrained(folder / "adapter", device="cpu", dtype=torch.float32, **options)


@torch.no_grad()
def test_a_pipeline_is_loaded_with_both_fine_tunings(saved):
    from peft import PeftModel

    pipeline = loaded(saved)
    llm = pipeline.reader.model.llm
    assert isinstance(llm, PreTrainedModel)
    ids = torch.arange(3, 20)[None]
    plain = tiny_llm(vocabulary=len(pipeline.reader.tokenizer))
    assert not torch.allclose(llm(ids).logits, plain(ids).logits, atol=1e-2)
    expected = PeftModel.from_pretrained(plain, str(saved / "adapter" / "lora")).eval()(ids).logits
    torch.testing.assert_close(llm(ids).logits, expected, atol=1e-4, rtol=1e-4)
    tuned = FeatureEncoder.from_pretrained(str(saved / "encoder"), saved / "tuned", device="cpu")
    assert np.array_equal(pipeline.encoder.encode_queries([QUESTION]), tuned.encode_queries([QUESTION]))
    answer = pipeline.ask(QUESTION, some_documents(3), max_new_tokens=4)
    assert answer.models["adapter"] == "adapter"
    assert answer.text


def test_models_that_do_not_belong_to_the_adapter_are_refused(saved):
    other = tiny_llm("qwen2", vocabulary=len(tiny_tokenizer(*CHAT)))
    other.save_pretrained(saved / "qwen2")
    tiny_tokenizer(*CHAT).save_pretrained(saved / "qwen2")
    with pytest.raises(InputError, match="The adapter belongs to"):
        loaded(saved, llm=str(saved / "qwen2"))
    tiny_encoder_folder(saved / "dot", similarity="dot")
    with pytest.raises(InputError, match="gives other vectors"):
        loaded(saved, retriever=str(saved / "dot"))
