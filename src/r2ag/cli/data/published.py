"""`r2ag data convert` and `r2ag data stats`: published data sets as records, and what data sets are like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.checks import need
from r2ag.cli.data import records as shared
from r2ag.cli.output import clean, libraries_to_stderr, note, print_json
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.formats import Conversion


def convert(
    source: Annotated[str, Argument(metavar="INPUT", show_default=False)],
    output: shared.OutputFile,
    form: shared.Format = None,
    subset: shared.Subset = None,
    split: shared.Split = None,
    retriever: Annotated[str, Option(metavar="MODEL")] = DEFAULT_RETRIEVER,
    documents: Annotated[int, Option(min=1)] = 20,
    seed: options.Seed = 0,
) -> None:
    """Write a published data set as records that the other commands read.

    It reads the NQ of "Lost in the Middle", HotpotQA, 2WikiMultiHopQA, MuSiQue, DuReader, LongBench's DuReader,
    FlashRAG's sets, BEIR's folders, and r2ag's own records. Where the order of documents gives away which one is
    relevant, they are reordered by a hash of their text.

    Entries without an answer or without documents are left out, and counted.

    Args:
        source: A file, a folder in BEIR's format, or a name on the Hugging Face hub.
        retriever: BEIR: what finds each question's documents in the corpus.
        documents: BEIR: how many it finds.

    Examples:
        r2ag data convert hotpot_dev_distractor_v1.json --output hotpotqa.jsonl.gz
        r2ag data convert hotpotqa/hotpot_qa --subset distractor --split validation --output hotpotqa.jsonl.gz
        r2ag data convert beir/hotpotqa --documents 20 --output open-hotpotqa.jsonl.gz
    """
    shared.check_output_file(output)
    with libraries_to_stderr() as stdout:
        note(f"Reading {source} …")
        if shared.is_beir_input(source, form):
            conversion = _search(Path(source), split or "test", retriever, documents, seed)
        else:
            from r2ag.records.formats import read_data_set

            conversion = read_data_set(source, form, seed, subset, split or "train")
        left_out = f"{conversion.left_out} without an answer or without documents"
        shared.write(conversion.records, output, stdout, ("format", conversion.format), ("left out", left_out))


def _search(folder: Path, split: str, retriever: str, count: int, seed: int) -> Conversion:
    """A BEIR set's questions with the documents that the retriever finds in its corpus."""
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.formats import Conversion
    from r2ag.records.formats.beir import read_beir

    searched = read_beir(folder, split)
    if not any(question.answers for question in searched.questions):
        raise InputError(
            f"{folder}: its questions have no answers, so they can't become records; r2ag data stats measures a "
            "retriever on them."
        )
    note("Searching the corpus …")
    encoder = FeatureEncoder.from_pretrained(retriever)
    records = searched.records(searched.search(encoder, count), seed)
    return Conversion("beir", records, len(searched.questions) - len(records))


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
