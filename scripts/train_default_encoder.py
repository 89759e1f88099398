"""Trains the feature encoder's LoRA that the shipped adapter carries.

    python scripts/train_default_encoder.py DATA_FOLDER OUTPUT_FOLDER

The records that `r2ag train` holds back with seed 0 are held back here too. The easy reconstructed NQ records are cut
to 900, so that they don't drown the others.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.models import DEFAULT_RETRIEVER, preferred_dtype
from r2ag.records import read_records, split_records
from r2ag.training.encoder import EncoderTrainingConfig, train_encoder

FILES = {"nq-20-recon": 900, "nq-20": None, "hotpotqa": None, "musique": None, "2wiki": None}


def main() -> None:
    """Takes about twelve minutes on two cores."""
    import torch

    data, output = map(Path, sys.argv[1:3])
    records = [
        record
        for name, count in FILES.items()
        for record in split_records(read_records(data / f"{name}-train.jsonl.gz")).training[:count]
    ]
    random.Random(0).shuffle(records)
    bf16 = preferred_dtype(torch.device("cuda" if torch.cuda.is_available() else "cpu")) == torch.bfloat16
    train_encoder(FeatureEncoder.from_pretrained(DEFAULT_RETRIEVER), records, output, EncoderTrainingConfig(bf16=bf16))


if __name__ == "__main__":
    main()
