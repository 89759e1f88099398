"""`r2ag data mine`: training records from questions with their passages, and a pool of other passages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.data import records as shared
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_RETRIEVER


def mine(
    source: Annotated[str, Argument(metavar="QUESTIONS", show_default=False)],
    output: shared.OutputFile,
    pool: Annotated[list[Path] | None, Option(metavar="PATH…", show_default="those of all questions")] = None,
    more: options.MorePaths = None,
    count: shared.Distractors = 19,
    form: shared.Format = None,
    retriever: shared.Retriever = DEFAULT_RETRIEVER,
    seed: options.Seed = 0,
) -> None:
    """Give each question the passages that are nearest to it and contain none of its answers.

    A question keeps its relevant passages; the others are replaced. A hash of their text decides the order of the
    documents. Questions without a relevant passage are left out, and counted.

    Args:
        source: Questions with answers and the passages that answer them, in any format that data convert reads.
        pool: Passages as JSON lines, text or Markdown; more may follow.

    Examples:
        r2ag data mine questions.jsonl --pool notes/ --output training.jsonl.gz
        r2ag data mine nq.jsonl.gz --pool corpus.jsonl.gz --count 9 --output nq-10.jsonl.gz
    """
    from r2ag.records.formats import read_data_set
    from r2ag.records.mine import read_pool

    shared.check_output_file(output)
    if more and not pool:
        raise InputError(f"{more[0]} stands behind QUESTIONS; name passages with --pool.")
    with libraries_to_stderr() as stdout:
        note(f"Reading {source} …")
        records = read_data_set(source, form, seed).records
        asked = [record for record in records if any(document.relevant for document in record.documents)]
        if not asked:
            raise InputError(f"{source}: none of its {len(records)} questions has a relevant passage; mark them.")
        from r2ag.encoder.encoder import FeatureEncoder

        encoder = FeatureEncoder.from_pretrained(retriever)
        if pool:
            passages = read_pool([*pool, *(more or [])], encoder)
        else:
            passages = [document for record in records for document in record.documents]
        mined = shared.with_distractors(asked, passages, encoder, count, seed)
        shared.write(mined, output)
        few = sum(sum(not document.relevant for document in record.documents) < count for record in mined)
        print_facts(
            stdout,
            *shared.facts(mined),
            ("left out", f"{len(records) - len(asked)} without a relevant passage"),
            ("distractors", f"{few} with less than {count}"),
            ("written", output),
        )
