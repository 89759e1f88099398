"""`r2ag data stats`: what data sets are like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.checks import need
from r2ag.cli.data import records as shared
from r2ag.cli.output import clean, libraries_to_stderr, note, print_json
from r2ag.models.wheels import DEFAULT_LLM

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from r2ag.encoder.encoder import FeatureEncoder


def stats(
    sources: Annotated[list[str], Argument(metavar="FILE…", show_default=False)],
    retriever: Annotated[str | None, Option(metavar="MODEL", show_default="none")] = None,
    llm: Annotated[str, Option(metavar="MODEL")] = DEFAULT_LLM,
    form: shared.Format = None,
    subset: shared.Subset = None,
    split: shared.Split = None,
    as_json: options.AsJson = False,
) -> None:
    """Show sizes of data sets, and how well a retriever ranks their documents.

    For each: records, documents and relevant documents a record, tokens, and with --retriever MAP, recall and nDCG. A
    corpus in BEIR's format is searched as a whole, to rank 100.

    Args:
        sources: Files, folders in BEIR's format, or names on the Hugging Face hub.
        retriever: Also measure how well this bi-encoder ranks.
        llm: The LLM whose tokens are counted.

    Examples:
        r2ag data stats nq.jsonl.gz hotpotqa.jsonl.gz
        r2ag data stats nq.jsonl.gz --retriever sentence-transformers/all-MiniLM-L6-v2 --json
    """
    if retriever is not None:
        need("ranking")
    with libraries_to_stderr() as stdout:
        from r2ag.encoder.encoder import FeatureEncoder
        from r2ag.models import load_tokenizer

        tokenizer = load_tokenizer(llm)
        encoder = None if retriever is None else FeatureEncoder.from_pretrained(retriever)
        described = [
            {"file": source} | _describe(source, form, subset, split, tokenizer, encoder) for source in sources
        ]
        if as_json:
            print_json({"data": described, "models": {"llm": llm, "retriever": retriever}}, stdout)
        else:
            print(clean(_table(described), lines=True), file=stdout)


def _describe(
    source: str,
    form: shared.DataFormat | None,
    subset: str | None,
    split: str | None,
    tokenizer: PreTrainedTokenizerFast,
    encoder: FeatureEncoder | None,
) -> dict[str, Any]:
    from r2ag.evaluation.describe import describe_corpus, describe_data

    note(f"Reading {source} …")
    if shared.is_beir_input(source, form):
        from r2ag.records.formats.beir import read_beir

        return {"form": "beir"} | describe_corpus(read_beir(Path(source), split or "test"), tokenizer, encoder)
    from r2ag.records.formats import read_data_set

    found = read_data_set(source, form, subset=subset, split=split or "train")
    left_out = {"form": found.format, "left_out": found.left_out}
    return left_out | describe_data(found.records, tokenizer, encoder)


def _table(described: Sequence[dict[str, Any]]) -> str:
    from r2ag.evaluation.table import table

    head = ["data", "records", "documents", "relevant", "tokens a document", "tokens a record"]
    ranked = "retrieval" in described[0]
    rows = [
        [
            Path(d["file"]).name.split(".")[0],
            str(d["records"]),
            f"{d['documents_mean']:.1f}",
            f"{d['relevant_mean']:.2f}",
            f"{d['tokens_a_document']:.0f}",
            f"{d['tokens_a_record']:.0f}",
            *(_ranking(d["retrieval"]) if ranked else []),
        ]
        for d in described
    ]
    return table(head + (["MAP", "recall at 5", "nDCG at 10"] if ranked else []), rows)


def _ranking(figures: dict[str, Any]) -> list[str]:
    if not figures["records"]:
        return ["-"] * 3
    low, high = figures["map_ci95"]
    return [
        f"{figures['map']:.3f} [{low:.3f}, {high:.3f}]",
        f"{figures['recall_at_5']:.3f}",
        f"{figures['ndcg_at_10']:.3f}",
    ]
