"""`r2ag data mine`, `make` and `from-logs`: training records of one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from r2ag.cli import options
from r2ag.cli.checks import writing
from r2ag.cli.data import records as shared
from r2ag.cli.opening import cut_into_passages, read_files
from r2ag.cli.output import libraries_to_stderr, note
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder
    from r2ag.records.make import Made, QuestionWriter
    from r2ag.types import Document


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
        few = sum(sum(not document.relevant for document in record.documents) < count for record in mined)
        left_out = ("left out", f"{len(records) - len(asked)} without a relevant passage")
        shared.write(mined, output, stdout, left_out, ("distractors", f"{few} with less than {count}"))


def make(
    docs: Annotated[list[Path], Option(metavar="PATH…", show_default=False)],
    output: shared.OutputFile,
    more: options.MorePaths = None,
    llm: Annotated[str, Option(metavar="MODEL")] = DEFAULT_LLM,
    endpoint: Annotated[str | None, Option(metavar="URL", show_default="this machine")] = None,
    retriever: shared.Retriever = DEFAULT_RETRIEVER,
    count: shared.Distractors = 19,
    limit: Annotated[int | None, Option(min=1, metavar="N", show_default="all")] = None,
    seed: options.Seed = 0,
) -> None:
    """Write questions and answers from your documents, as records to train and evaluate on.

    A question is kept if the LLM can answer it from its passage and can't answer it without. The nearest passages that
    don't contain the answer become its distractors.

    You can interrupt it at any time: the same command continues.

    Args:
        docs: Files, folders or patterns; more may follow.
        llm: The LLM that writes: a folder, a hub name, or its name at the --endpoint.
        endpoint: An OpenAI-compatible server that has the --llm, as in http://localhost:11434/v1; its key is taken from
            OPENAI_API_KEY.
        limit: Ask N passages, drawn by the seed.

    Examples:
        r2ag data make --docs notes/ --output notes.jsonl.gz
        r2ag data make --docs notes/ --output notes.jsonl.gz --endpoint http://localhost:11434/v1 --llm qwen3:8b
    """
    from r2ag.records.make import as_records
    from r2ag.records.split import sample

    shared.check_output_file(output)
    log = output.with_name(f".{output.name}.progress")  # removed when the records are written
    paths = [*docs, *(more or [])]
    with libraries_to_stderr() as stdout:
        files = read_files(paths)
        note("Loading the models …")
        from r2ag.encoder.encoder import FeatureEncoder

        encoder = FeatureEncoder.from_pretrained(retriever)
        passages = cut_into_passages(files, encoder)
        asked = sample(passages, limit, seed)
        made = _made(asked, _writer(llm, endpoint), output, log)
        records = as_records(asked, made)
        counts = Counter(one.left_out for one in made if one.left_out)
        left_out = ", ".join(f"{number} {reason}" for reason, number in counts.most_common())
        if not records:
            log.unlink(missing_ok=True)
            raise InputError(
                f"None of the {len(made)} questions from {paths[0]} passed the checks ({left_out}); take a larger "
                "--llm, or more documents."
            )
        finished = shared.with_distractors(records, passages, encoder, count, seed)
        shared.write(finished, output, stdout, ("left out", left_out or "nothing"))
        log.unlink(missing_ok=True)


def _writer(llm: str, endpoint: str | None) -> QuestionWriter:
    if endpoint is not None:
        from r2ag.engines.chat_api import ChatAPI

        return ChatAPI(endpoint, llm)
    from r2ag.models import load_llm
    from r2ag.records.make import LocalWriter

    return LocalWriter(*load_llm(llm), name=llm)


def _made(asked: Sequence[Document], writer: QuestionWriter, output: Path, log: Path) -> list[Made]:
    from r2ag.cli.progress import ProgressBar
    from r2ag.records.make import make_questions

    note(f"Asking {len(asked)} passages …")
    try:
        with writing(output), ProgressBar("passages") as progress:
            return make_questions(asked, writer, log, progress)
    except KeyboardInterrupt:
        note(f"The same command goes on from {log}.")
        raise


def from_logs(
    log: Annotated[Path, Argument(metavar="LOG", show_default=False)],
    output: shared.OutputFile,
    docs: Annotated[list[Path] | None, Option(metavar="PATH…", show_default="none")] = None,
    more: options.MorePaths = None,
    store: Annotated[str | None, Option(metavar="STORE", show_default="none")] = None,
    retriever: shared.Retriever = DEFAULT_RETRIEVER,
    count: shared.Distractors = 19,
    seed: options.Seed = 0,
) -> None:
    """Write records to train on from a log of questions whose good documents are known.

    In a good file the passages that contain an answer are relevant; if none does, the passage nearest to the question
    is. A line may instead name a store's passages by their ids ("passages"). The nearest passages without an answer
    become distractors.

    Args:
        log: JSON lines: question, answers, sources (names of good files).
        docs: The files; more may follow.
        store: Or a store that holds them.

    Examples:
        r2ag data from-logs questions.jsonl --docs notes/ --output training.jsonl.gz
        r2ag data from-logs questions.jsonl --store my-store --output training.jsonl.gz
    """
    from r2ag.records.logs import label, read_log

    shared.check_output_file(output)
    if bool(docs) == (store is not None):
        raise InputError("Name the documents either with --docs or with --store.")
    if more and not docs:
        raise InputError(f"{more[0]} stands behind LOG; name files with --docs.")
    questions = read_log(log)
    if docs and (by_id := next((one for one in questions if one.passages), None)):
        raise InputError(f"{log}: the question {by_id.id!r} names passages by their ids, which only a --store has.")
    with libraries_to_stderr() as stdout:
        from r2ag.encoder.encoder import FeatureEncoder

        note("Loading the encoder …")
        encoder = FeatureEncoder.from_pretrained(retriever)
        passages = _passages([*(docs or []), *(more or [])], store, encoder)
        labelled = label(questions, passages, encoder)
        if not labelled.records:
            first = (*labelled.unknown[0].sources, *map(str, labelled.unknown[0].passages))[0]
            raise InputError(f"{log}: none of its good documents is there, such as {first}; check --docs or --store.")
        records = shared.with_distractors(labelled.records, list(passages.values()), encoder, count, seed)
        nearest = ("nearest", f"{labelled.without_answer} where no good passage contains the answer")
        left_out = ("left out", f"{len(labelled.unknown)} whose good documents are not there")
        shared.write(records, output, stdout, nearest, left_out)


def _passages(files: Sequence[Path], store: str | None, encoder: FeatureEncoder) -> Mapping[int, Document]:
    """The passages by their ids in the store; those of files are numbered."""
    if store is None:
        return dict(enumerate(cut_into_passages(read_files(files), encoder)))
    from r2ag.store import open_store

    with open_store(store) as opened, opened.snapshot() as snapshot:
        ids = snapshot.ids()
        return dict(zip(ids, snapshot.documents(ids), strict=True))
