from __future__ import annotations

from pathlib import Path

import pytest

from r2ag.studies.paper import MAIN, Figures, known_set, main_figures, notes


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("nq-10-test", "nq-10"),
        ("nq-30-recon-test", "nq-30"),
        ("NQ_20", "nq-20"),
        ("hotpotqa", "hotpotqa"),
        ("2wiki-test", "2wiki"),
        ("dureader-20-recon-test", "dureader"),
        ("some folder/musique-test", "musique"),
        ("nq-100", None),
        ("ours", None),
    ],
)
def test_sets_by_their_files_names(name: str, known: str | None) -> None:
    assert known_set(name) == known


def test_the_papers_figures() -> None:
    assert main_figures("r2ag", "nq-10-test") == Figures(0.6930)
    assert main_figures("r2ag", "2wiki-test") == Figures(0.3342, 0.3452)
    assert main_figures("longllmlingua", "nq-20") is None
    assert main_figures("r2ag", "ours") is None
    assert str(main_figures("raft", "dureader")) == "F1 0.2423, Rouge 0.2740"
    assert len(MAIN) == 7 * 6 + 2 * 4 + 4  # LongLLMLingua and Self-RAG have no NQ-20 and NQ-30


def test_reconstructed_sets_are_named() -> None:
    assert notes([Path("ours.jsonl")]) == ()
    general, made_up = notes([Path("nq-10-test.jsonl"), Path("nq-30-recon-test.jsonl.gz")])
    assert "LLaMA-2-7B" in general
    assert made_up.startswith("nq-30-recon-test: reconstructed")
