"""The model card of an adapter, written from its training run's own figures."""

from __future__ import annotations

from r2ag.adapter.config import AdapterConfig


def model_card(config: AdapterConfig) -> str:
    """README.md for a hub: what it belongs to, what it learned from, how to use it."""
    records = config.training.get("records", {})
    datasets = ", ".join(f"{name} ({count})" for name, count in records.get("datasets", {}).items())
    losses = [entry["eval_loss"] for entry in config.training.get("history", []) if "eval_loss" in entry]
    held_back = f"{float(losses[0]):.3f} → {min(map(float, losses)):.3f}" if losses else "not recorded"
    settings = "\n".join(f"| {name} | {value} |" for name, value in config.training.get("settings", {}).items())
    return f"""---
library_name: r2ag
base_model: {config.llm.name}
license: apache-2.0
tags: [retrieval-augmented-generation, r2ag]
---

# R²AG adapter for {config.llm.name}

Tells the LLM why each document was retrieved (R²AG, arXiv 2406.13249). Method: {config.method}. Feature encoder:
{config.encoder.name}, as fine-tuned in `encoder/` where that folder is present.

```python
from r2ag import Document, Pipeline

pipeline = Pipeline.from_pretrained("THIS_REPOSITORY")
print(pipeline.ask("…", documents=[Document("…")]).text)
```

## Training

Records: {datasets or "not recorded"}; {records.get("training", "?")} trained, the others were held back.
Held-back loss: {held_back}.
Probabilities of relevance were calibrated on {config.calibration.fitted_on}; elsewhere they are only plausible.

| setting | value |
|---|---|
{settings}
"""
