"""The paper's own figures (Ye et al., 2024, arXiv 2406.13249, tables 1 to 3), shown beside ours.

They are of other LLMs, of all test records, and of a retriever that was fine-tuned on each data set. Compare what a
method gains over plain RAG, never the figures themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOTE = (
    "The paper's figures stand beside ours for the gain over plain RAG, not for their height: they are of "
    "LLaMA-2-7B (NQ-10, HotpotQA, MuSiQue, 2Wiki), LongChat-1.5-7B (NQ-20, NQ-30) and Qwen1.5-0.5B (DuReader), with a "
    "retriever fine-tuned on each data set, on all of its test records."
)
RECONSTRUCTED = "{names}: reconstructed, so that its records are not the paper's."


@dataclass(frozen=True)
class Figures:
    """The paper's figures of one method on one data set; None where it has none."""

    acc: float | None = None
    f1: float | None = None
    rouge_l: float | None = None

    def __str__(self) -> str:
        named = (("Acc", self.acc), ("F1", self.f1), ("Rouge", self.rouge_l))
        return ", ".join(f"{name} {value:.4f}" for name, value in named if value is not None)


_SETS = ("nq-10", "nq-20", "nq-30", "hotpotqa", "musique", "2wiki")

_N = None
_ROWS: dict[str, tuple[tuple[float | None, float | None], ...]] = {
    "rag": ((0.3898, _N), (0.5782, _N), (0.5198, _N), (0.2630, 0.0852), (0.0546, 0.0241), (0.1205, 0.0634)),
    "cot": ((0.4482, _N), (0.6026, _N), (0.5631, _N), (0.2365, 0.1028), (0.0626, 0.0412), (0.1627, 0.0969)),
    "recomp": ((0.0169, _N), (0.2222, _N), (0.1977, _N), (0.2388, 0.0265), (0.0830, 0.0156), (0.2666, 0.0329)),
    "crag": ((0.3974, _N), (0.6441, _N), (0.6347, _N), (0.1194, 0.0360), (0.0262, 0.0047), (0.0768, 0.0422)),
    "longllmlingua": ((0.3635, _N), (_N, _N), (_N, _N), (0.4174, 0.1178), (0.1939, 0.0477), (0.2374, 0.0888)),
    "r2ag": ((0.6930, _N), (0.7062, _N), (0.6704, _N), (0.6675, 0.3605), (0.1864, 0.1687), (0.3342, 0.3452)),
    "self-rag": ((0.1883, _N), (_N, _N), (_N, _N), (0.2475, 0.1236), (0.0701, 0.0378), (0.2611, 0.1389)),
    "raft": ((0.7514, _N), (0.8041, _N), (0.7307, _N), (0.7349, 0.3172), (0.2529, 0.1502), (0.7555, 0.4869)),
    "r2ag+raft": ((0.8192, _N), (0.8060, _N), (0.7458, _N), (0.7351, 0.3056), (0.2295, 0.1533), (0.7444, 0.6351)),
}
_DUREADER = {
    "rag": Figures(f1=0.1395, rouge_l=0.1656),
    "r2ag": Figures(f1=0.1510, rouge_l=0.1663),
    "raft": Figures(f1=0.2423, rouge_l=0.2740),
    "r2ag+raft": Figures(f1=0.2507, rouge_l=0.2734),
}
MAIN = {
    (method, name): Figures(acc, f1)
    for method, row in _ROWS.items()
    for name, (acc, f1) in zip(_SETS, row, strict=True)
    if acc is not None
} | {(method, "dureader"): figures for method, figures in _DUREADER.items()}
"""Tables 1 and 2, by method and data set."""

ABLATION = {"full": 0.6930, "relevance": 0.6761, "precedent": 0.6723, "neighbour": 0.6252, "matching": 0.6441}
"""Table 3: Acc on NQ-10 of LLaMA-2-7B, whole and without one part."""

MAP = {
    "nq-10": 0.9602,
    "nq-20": 0.9287,
    "nq-30": 0.9215,
    "hotpotqa": 0.9138,
    "musique": 0.5726,
    "2wiki": 0.9637,
    "dureader": 0.7169,
}
"""Of the lists that the paper's fine-tuned retriever makes."""


def known_set(dataset: str) -> str | None:
    """The paper's data set in a file's name, as in hotpotqa-test, nq_10.dev or some-folder/musique, if there is one."""
    name = dataset.rpartition("/")[2].lower().replace("_", "-")
    return next((known for known in MAP if name == known or name.startswith((f"{known}-", f"{known}."))), None)


def main_figures(method: str, dataset: str) -> Figures | None:
    """Figures from tables 1 and 2 of a method (without its argument) on a data set."""
    known = known_set(dataset)
    return None if known is None else MAIN.get((method, known))


def notes(files: Sequence[Path]) -> tuple[str, ...]:
    """Notes for results that show the paper's figures; none where no file is of a data set of the paper."""
    names = [file.name.split(".")[0] for file in files]
    if not any(map(known_set, names)):
        return ()
    made_up = [name for name in names if "recon" in name]
    return (NOTE, *([RECONSTRUCTED.format(names=", ".join(made_up))] if made_up else []))
