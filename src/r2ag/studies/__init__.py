"""Studies: the paper's tables and figures, and our own, each planned, measured, tabulated and drawn in one run.

A study is a module of this package that declares a STUDY (see study.py): its plan, its tables and its plots. This file
only lists them, so that the command line can show its help without loading any.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from r2ag.studies.study import Study


@dataclass(frozen=True)
class Description:
    """What a study shows, and what it varies (--over), with the default values."""

    shows: str
    over: str
    default: str
    trains: bool = False  # it needs training records


STUDIES = {
    "main": Description(
        "Every method on the same records: the paper's tables 1 and 2.",
        "Whose vectors order the documents: the encoder tuned on such questions, or as it was.",
        "tuned,untuned",
    ),
    "ablation": Description(
        "What each part is worth, one left out or added at a time: the paper's table 3.",
        "What is left out or added: relevance, precedent, neighbour, matching, positions, bm25, rerank=MODEL.",
        "relevance,precedent,neighbour,matching,positions,bm25",
        trains=True,
    ),
    "relevance": Description(
        "What each part is worth to the probability of relevance; no LLM reads, so that it is quick.",
        "What is left out or added: relevance, precedent, neighbour, positions, bm25, rerank=MODEL; or fewer training "
        "records, as in records:200.",
        "relevance,precedent,neighbour,positions,bm25",
        trains=True,
    ),
    "documents": Description(
        "Features against learned tokens that know a document's rank alone, over numbers of documents: figure 3.",
        "Numbers of documents.",
        "1,3,5,10",
    ),
    "retrievers": Description(
        "Documents found by several retrievers, described by the adapter's own encoder: figure 4.",
        "Who finds: adapter, untuned, bm25, rerank=MODEL, or a bi-encoder's folder or hub name.",
        "bm25,untuned,adapter",
    ),
    "llms": Description(
        "R²AG with several LLMs: figure 5.",
        "With --train LLMs to train adapters for, by folder or hub name; without it their adapters.",
        "",
    ),
    "attention": Description(
        "Where the prompt's last token looks, layer by layer, over many records: figure 6.",
        "Numbers of documents.",
        "5",
    ),
    "robustness": Description(
        "Answers when the gold documents stand lower, are missing, or drown among distractors, and when vectors err.",
        "Of gold:PLACE, no-gold, distractors:N, noise:SHARE, shuffled.",
        "gold:1,gold:3,gold:5,gold:10,no-gold,distractors:5,distractors:10,noise:0.25,noise:0.5,noise:1,shuffled",
    ),
    "pruning": Description(
        "Acc against prompt tokens: documents left out by relevance, by rank and by cosine.",
        "Methods that read less than all, with the share or number that each is tried with.",
        "r2ag+prune:0.02,r2ag+prune:0.05,r2ag+prune:0.1,r2ag+prune:0.3,r2ag+prune:0.5,r2ag+top:1,r2ag+top:2,r2ag+top:3,"
        "r2ag+top:5,rag-topn:1,rag-topn:2,rag-topn:3,rag-topn:5,cutoff:0.7,cutoff:0.6,cutoff:0.5,cutoff:0.4,cutoff:0.3",
    ),
    "calibration": Description(
        "Whether probabilities of relevance mean what they say, and tell when nothing relevant is there.",
        "Lists that are told apart from those with something relevant: removed, off-topic.",
        "removed,off-topic",
    ),
    "data": Description(
        "Acc against the number of training records.",
        "Numbers of training records.",
        "100,200,400,800",
        trains=True,
    ),
}


def load(name: str) -> Study:
    """The study's module as an object."""
    return cast("Study", import_module(f"{__name__}.{name}").STUDY)
