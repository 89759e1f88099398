from __future__ import annotations

import pytest
import torch

from r2ag.errors import InputError
from r2ag.models.loading import loading


def test_a_gpu_with_too_little_memory_is_named(tmp_path):
    words = r"GPU has too little free memory .*CPU.*a dtype of fewer bits.*smaller"
    with pytest.raises(InputError, match=words) as caught, loading("LLM", "big", str(tmp_path)):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.90 GiB.\nMore.")
    assert f"LLM big (from {tmp_path})" in str(caught.value)
    assert "hub name" not in str(caught.value)
