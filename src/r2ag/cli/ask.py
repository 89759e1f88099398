"""`r2ag ask`: an answer, what it cites, and why each document was read."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from r2ag.cli.documents import print_documents, short_sources
from r2ag.cli.options import AdapterName, EmbeddingsUrl, EncoderName, Llm, Retriever
from r2ag.cli.output import clean, libraries_to_stderr, note, print_json
from r2ag.cli.search import FinderName, StoreSearch
from r2ag.cli.skipped import tell_skipped
from r2ag.errors import InputError

if TYPE_CHECKING:
    from r2ag.pipeline import Pipeline
    from r2ag.types import Answer, ScoredDocument

NOTHING_FOUND = "Nothing relevant was found in these documents."


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In quotes.", show_default=False)],
    docs: Annotated[
        list[Path] | None,
        typer.Option(
            "--docs",
            metavar="PATH…",
            help="Text, Markdown, HTML, PDF and Word files, folders or patterns; more may follow, or repeat --docs.",
            show_default=False,
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="PATH", hidden=True)] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="A store that r2ag index made, instead.", show_default=False),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Documents to take: the nearest to the question.")] = 5,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Of the store's documents, only those that meet it: source, title, section, modified and metadata of "
            "your own, with = != < <= > >= like in, and, or, not.",
            show_default="all",
        ),
    ] = None,
    finder: Annotated[
        FinderName, typer.Option("--finder", help="How a store is searched: by vectors, by words, or by both.")
    ] = FinderName.DENSE,
    reranker: Annotated[
        str | None,
        typer.Option(
            "--reranker",
            metavar="MODEL",
            help="A cross-encoder (sentence-transformers) that puts what a store finds in order.",
            show_default="none",
        ),
    ] = None,
    encoder: EncoderName = None,
    embeddings_url: EmbeddingsUrl = None,
    llm: Llm = None,
    retriever: Retriever = None,
    adapter: AdapterName = None,
    compare: Annotated[bool, typer.Option("--compare", help="Put plain RAG's answer beside it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="A system prompt.", show_default="none")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option("--max-new-tokens", min=1, help="The longest answer, in tokens.")] = 64,
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="Let the LLM read only documents that are worth reading.")
    ] = True,
    abstain: Annotated[
        bool, typer.Option("--abstain/--no-abstain", help="Give no answer where no document passes for relevant.")
    ] = True,
) -> None:
    """Answer a question from text, Markdown, HTML, PDF and Word files, or from a store.

    Below the answer stand the documents it cites, and every document that was taken, with the probability that it is
    relevant and the retrieval features behind it: r (similarity to the question), γ (to the documents before it) and
    ζ (to its neighbours).
    """
    from r2ag.prompting import check_question

    check_question(question)
    search = StoreSearch(where, finder, reranker, encoder, embeddings_url)
    fill = _from_files(docs or [], more or [], search) if store is None else _from_store(store, docs, more, search)
    with libraries_to_stderr() as stdout:
        note("Loading the models …")
        from r2ag.pipeline import Pipeline

        pipeline = Pipeline.from_pretrained(adapter, llm, retriever)
        fill(pipeline)
        writer = _Writer(io.StringIO() if as_json else stdout, "R²AG:      " if compare else "")
        found = pipeline.find(question, k=k, where=where)
        answer = pipeline.answer(
            found,
            max_new_tokens=max_new_tokens,
            prune=prune,
            abstain=abstain,
            system=system,
            on_text=writer.write,
        )
        writer.end(answer)
        plain = pipeline.ask_plain(found, max_new_tokens) if compare else None
        if as_json:
            print_json(answer_fields(answer, plain), stdout)
        else:
            _print_rest(answer, plain, stdout)


def answer_fields(answer: Answer, plain_answer: str | None = None) -> dict[str, Any]:
    """An answer as `--json` prints it."""
    fields = {
        "question": answer.question,
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": list(answer.citations),
        "documents": [_document_fields(document) for document in answer.documents],
        "timings_ms": dict(answer.timings_ms),
        "usage": dict(answer.usage),
        "models": dict(answer.models),
    }
    return fields if plain_answer is None else fields | {"plain_answer": plain_answer}


def _document_fields(document: ScoredDocument) -> dict[str, Any]:
    return {
        "rank": document.rank,
        "source": document.document.source,
        "section": document.document.section,
        "place": document.document.place,
        "title": document.document.title,
        "text": document.document.text,
        "features": dict(document.features),
        "relevance_probability": document.relevance_probability,
        "used": document.used,
    }


def _from_files(docs: Sequence[Path], more: Sequence[Path], search: StoreSearch) -> Callable[[Pipeline], None]:
    """Reads the files at once, since what is wrong with them should be said before the models load."""
    from r2ag.corpus import Skipped, chunk, read_sources

    if not docs:
        raise typer.BadParameter("Give the documents with --docs PATH… or --store DIR.")
    if search != StoreSearch():
        raise InputError("--where, --finder, --reranker, --encoder and --embeddings-url need --store DIR.")
    skipped = list[Skipped]()
    files = read_sources([*docs, *_paths(more)], skipped.append)
    tell_skipped(skipped, files)

    def fill(pipeline: Pipeline) -> None:
        encoder = pipeline.encoder
        documents = [
            document for file in files for document in chunk(file, encoder.count_tokens, encoder.passage_tokens)
        ]
        note(f"Encoding {len(documents)} passages …")
        pipeline.add(documents)

    return fill


def _from_store(
    folder: Path, docs: Sequence[Path] | None, more: Sequence[Path] | None, search: StoreSearch
) -> Callable[[Pipeline], None]:
    """Opens the store and reads the condition at once, as above."""
    if docs:
        raise InputError("--docs and --store can't go together; add the files to the store with r2ag index.")
    if more:
        raise InputError(f"--store takes one folder and {more[0]} follows it; is it part of the question? Quote that.")
    store = search.open(folder)
    return lambda pipeline: pipeline.use(search.finder_over(store, pipeline.encoder))


def _paths(more: Sequence[Path]) -> Sequence[Path]:
    for path in more:
        if not path.exists():
            raise InputError(f"There is no file or folder {path}; if it is part of the question, put that in quotes.")
    return more


class _Writer:
    """Writes the answer behind a label as it comes."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._label = label

    def write(self, piece: str) -> None:
        """Takes the next piece of the answer."""
        print(self._label + clean(piece, lines=True), end="", file=self._stream, flush=True)
        self._label = ""

    def end(self, answer: Answer) -> None:
        """Ends the line; says so where there is no answer."""
        if not answer.documents:
            self.write(NOTHING_FOUND)
        elif answer.abstained:
            best = max(document.relevance_probability for document in answer.documents)
            self.write(f"{NOTHING_FOUND} (The most relevant one is so with a probability of {best:.2f}.)")
        elif not answer.text:
            self.write("(The LLM wrote nothing.)")
        print(file=self._stream)


def _print_rest(answer: Answer, plain: str | None, stream: TextIO) -> None:
    if plain is not None:
        print(f"plain RAG: {clean(plain, lines=True)}", file=stream)
    print(file=stream)
    for document, source in zip(answer.documents, short_sources(answer.documents), strict=True):
        if document.rank in answer.citations:
            where = ", ".join(filter(None, [source, document.document.place]))
            print(f"Cited: [{document.rank}] {clean(document.document.title)} ({clean(where)})", file=stream)
    if not answer.abstained and not answer.citations:
        print("Cited: none; no relevant document that was read bears this answer out.", file=stream)
    if answer.shortened:
        count = "1 document was" if answer.shortened == 1 else f"{answer.shortened} documents were"
        print(f"{count} shortened to fit what the LLM can read.", file=stream)
    if answer.documents:
        print_documents(answer, stream)
