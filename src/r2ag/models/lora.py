"""Low-rank updates on disk, as peft writes them but without traces of the machine that made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def save_lora(model: Any, folder: Path, base: str) -> None:
    """Writes adapter_config.json and adapter_model.safetensors; `base` names the model underneath.

    peft would write the folder that the base was loaded from, which may be a cache, and a card that says nothing.
    """
    model.save_pretrained(str(folder))
    file = folder / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | {"base_model_name_or_path": base}
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)
