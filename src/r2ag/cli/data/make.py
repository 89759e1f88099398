"""`r2ag data make`: training records from one's own documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from r2ag.cli import options
from r2ag.cli.checks import writing
from r2ag.cli.data import records as shared
from r2ag.cli.opening import cut_into_passages, read_files
from r2ag.cli.output import libraries_to_stderr, note, print_facts
from r2ag.errors import InputError
from r2ag.models.wheels import DEFAULT_LLM, DEFAULT_RETRIEVER

if TYPE_CHECKING:
    from r2ag.records.make import Made, QuestionWriter
    from r2ag.types import Document


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
        shared.write(finished, output)
        log.unlink(missing_ok=True)
        print_facts(stdout, *shared.facts(finished), ("left out", left_out or "nothing"), ("written", output))


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
