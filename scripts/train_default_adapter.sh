#!/usr/bin/env bash
# The shipped adapter, from record files to src/r2ag/pretrained: DATA=folder scripts/train_default_adapter.sh
set -euo pipefail
cd "$(dirname "$0")/.."
runs=runs/default
.venv/bin/python scripts/train_default_encoder.py "$DATA" "$runs/encoder"
.venv/bin/r2ag train \
    --data "$DATA/nq-20-train.jsonl.gz:2" "$DATA/hotpotqa-train.jsonl.gz" "$DATA/musique-train.jsonl.gz:2" \
    "$DATA/2wiki-train.jsonl.gz" "$DATA/nq-20-recon-train.jsonl.gz:0.2" \
    --encoder-lora "$runs/encoder" --output "$runs/adapter" \
    --prompt few-shot-plain --relevance-direction --gold-relevance 0.5 --freeze-relevance --without-relevant 0.5 --slots 2 \
    --documents 1-8 --max-prompt-tokens 800 --batch-size 2 --epochs 0.5 --seed 0
.venv/bin/r2ag choose \
    --data "$DATA/nq-20-train.jsonl.gz" "$DATA/hotpotqa-train.jsonl.gz" "$DATA/musique-train.jsonl.gz" \
    "$DATA/2wiki-train.jsonl.gz" --limit 28 --batch-size 8 --adapter "$runs/adapter" --answers "$runs/choices" \
    --output src/r2ag/pretrained/smollm2-135m-instruct
