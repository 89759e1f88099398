from __future__ import annotations

import numpy as np

from r2ag.studies.run import stacked


def test_methods_whose_names_hold_their_seeds_folder_are_one() -> None:
    repeated = [
        {"rag": {"acc": np.array([seed, 0.0])}, f"raft=seed{seed}": {"acc": np.array([seed, 1.0])}} for seed in (0, 1)
    ]
    found = stacked(repeated)
    assert list(found) == ["rag", "raft=seed0"]
    assert found["raft=seed0"]["acc"].tolist() == [[0.0, 1.0], [1.0, 1.0]]
