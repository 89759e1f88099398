"""Methods that read some of a list's documents, or parts of them, with plain RAG's prompt; also by a server's LLM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from r2ag.answering.reader import Reader
from r2ag.engines.chat_api import as_text
from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.methods.crag import Corrective, by_head
from r2ag.evaluation.methods.r2ag import in_words
from r2ag.evaluation.methods.rag import cosines
from r2ag.evaluation.methods.refined import LocalLLM, Refined, ServerLLM, joined, parts, sentences
from r2ag.method.templates import plain_template
from r2ag.retrieval.rerank import load_cross_encoder, relevance_scores
from r2ag.types import Document, RankedList
from tests.api_server import Server, chat_server
from tests.evaluation.conftest import Parts
from tests.tiny import tiny_cross_encoder_folder, tiny_encoder, tiny_encoder_folder


def refined(parts: Parts, text: str) -> Refined:
    method = parts.method(text)
    assert isinstance(method, Refined)
    return method


def reader_of(method: Refined) -> Reader:
    assert isinstance(method.llm, LocalLLM)
    return method.llm.reader


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cot:3", "nothing behind a colon"),
        ("cutoff", "number from 0 to 1, as in cutoff:0.3"),
        ("cutoff:2", "number from 0 to 1"),
        ("rerank", "number of documents"),
        ("rerank:2", "needs a cross-encoder, as rerank:2=MODEL"),
        ("rerank:2=/nowhere/at/all", "no folder"),
        ("recomp:0", "number of documents from 1"),
        ("recomp=/nowhere/at/all", "no folder"),
        ("crag:1", "nothing behind a colon"),
        ("crag=/nowhere/at/all", "no folder"),
        ("r2ag-words:1", "nothing behind a colon"),
    ],
)
def test_unusable(parts: Parts, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parts.method(spec)


@pytest.mark.parametrize("spec", ["crag", "r2ag-words"])
def test_methods_that_need_a_relevance_head(parts: Parts, spec: str) -> None:
    with pytest.raises(InputError, match="needs an R²AG adapter"):
        parts.method(spec, method="learned-tokens")


def test_chain_of_thought_reads_all_and_begins_the_reasoning(parts: Parts) -> None:
    method = refined(parts, "cot")
    reader = reader_of(method)
    assert "Reason briefly" in reader.builder.template.head
    assert "only the answer" not in reader.builder.template.head + reader.builder.template.tail
    (prediction,) = method.answer([parts.ranked(3)])
    prompt = reader.prompt("Which?", parts.ranked(3).documents, 4)
    assert reader.tokenizer.decode(list(prompt.ids)).endswith("Let's think step by step.")
    assert (prediction.documents_read, prediction.abstained) == (3, False)


def test_the_cosine_decides_whatever_the_encoders_similarity(parts: Parts) -> None:
    documents = [Document(f"text {number}") for number in range(3)]
    vectors = np.array([[2.0, 0.0], [0.0, 3.0], [4.0, 3.0]], dtype=np.float32)
    ranked = RankedList("Which?", tuple(documents), np.array([2.0, 0.0], dtype=np.float32), vectors)
    assert cosines(ranked) == pytest.approx([1.0, 0.0, 0.8])
    for threshold, kept in (("0.8", [0, 2]), ("0.81", [0]), ("0", [0, 1, 2])):
        refinement = refined(parts, f"cutoff:{threshold}").refine(ranked)
        assert refinement.documents == tuple(documents[index] for index in kept)
        assert refinement.documents_read == len(kept)
    low = replace(ranked, document_vectors=vectors[[1, 1, 1]])
    assert len(refined(parts, "cutoff:0.5").refine(low).documents) == 1


def test_a_cross_encoders_best_come_first(parts: Parts, tmp_path: Path) -> None:
    folder = tiny_cross_encoder_folder(tmp_path / "cross")
    ranked = parts.ranked(5)
    scores = relevance_scores(load_cross_encoder(str(folder)), ranked.question, ranked.documents)
    best = sorted(range(5), key=lambda index: -scores[index])[:2]
    method = refined(parts, f"rerank:2={folder}")
    assert method.refine(ranked).documents == tuple(ranked.documents[index] for index in best)
    assert method.name == "rerank:2"
    (prediction,) = method.answer([ranked])
    assert prediction.documents_read == 2
    (all_of_them,) = parts.method("rag").answer([ranked])
    assert prediction.prompt_tokens < all_of_them.prompt_tokens


def test_sentences() -> None:
    assert sentences("It fell in 1.5 days. Why? So!\nA heading\n\n桥塌了。是的。") == [
        "It fell in 1.5 days.",
        "Why?",
        "So!",
        "A heading",
        "桥塌了。",
        "是的。",
    ]
    assert sentences(" \n") == []


def test_parts_come_together_under_their_own_title() -> None:
    documents = [Document("One. Two. Three.", "First"), Document("", "Empty"), Document("Four.")]
    found = parts(documents, size=2)
    assert [(part.index, part.document.text) for part in found] == [
        (0, "One. Two."),
        (0, "Three."),
        (1, ""),
        (2, "Four."),
    ]
    refinement = joined([found[3], found[0], found[1]])
    assert refinement.documents == (documents[2], documents[0])
    assert refinement.documents_read == 2


def test_extraction_reads_the_nearest_sentences(parts: Parts) -> None:
    documents = [Document("The bridge is old. It rains."), Document("Bees dance. Nobody knows why.")]
    ranked = parts.encoder.describe("Which bridge is the oldest?", documents)
    texts = ["The bridge is old.", "It rains.", "Bees dance.", "Nobody knows why."]
    vectors = parts.encoder.encode_documents([Document(text) for text in texts])
    best = sorted(range(4), key=lambda index: -float(vectors[index] @ ranked.query_vector))
    refinement = refined(parts, "recomp:1").refine(ranked)
    assert [document.text for document in refinement.documents] == [texts[best[0]]]
    assert refinement.documents_read == 1
    assert sum(len(sentences(d.text)) for d in refined(parts, "recomp").refine(ranked).documents) == 2


def test_extraction_by_another_encoder(parts: Parts, tmp_path: Path) -> None:
    folder = tiny_encoder_folder(tmp_path / "dot", similarity="dot")
    method = refined(parts, f"recomp:1={folder}")
    assert method.settings["compressor"] != refined(parts, "recomp:1").settings["compressor"]
    assert method.answer([parts.ranked(3)])[0].documents_read == 1


def test_an_abstractive_compressor_writes_what_is_read(parts: Parts, tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    from tests.tiny import tiny_tokenizer

    tokenizer = tiny_tokenizer("unigram")
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), eos_token_id=3, pad_token_id=0, **sizes))
    model.save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    method = refined(parts, f"recomp={tmp_path / 't5'}")
    refinement = method.refine(parts.ranked(3))
    assert len(refinement.documents) == (1 if refinement.documents_read else 0)
    (prediction,) = method.answer([parts.ranked(3)])
    assert prediction.documents_read in (0, 3)
    with pytest.raises(InputError, match="nothing behind a colon"):
        parts.method(f"recomp:2={tmp_path / 't5'}")


class Grader:
    """Grades from a table, by a document's first word."""

    def __init__(self, **grades: float) -> None:
        self.grades = grades

    def __call__(self, question: str, documents: list[Document], vectors: np.ndarray | None = None) -> list[float]:
        return [self.grades[document.text.split()[0].strip(".")] for document in documents]


def test_grades_decide_what_is_read(parts: Parts) -> None:
    texts = ("A one. a two. a three. B four. b five.", "C six.")
    ranked = parts.encoder.describe("Which?", [Document(text, "T") for text in texts])
    limits = {"correct": 0.9, "incorrect": 0.3, "strip": 0.5}
    correct = Corrective(Grader(A=0.95, B=0.6, C=0.4), **limits)(ranked)
    assert [document.text for document in correct.documents] == [texts[0]]
    strip = Corrective(Grader(A=0.95, B=0.4, C=0.4), **limits)(ranked)
    assert [(d.title, d.text) for d in strip.documents] == [("T", "A one. a two. a three.")]
    assert strip.documents_read == 1
    ambiguous = Corrective(Grader(A=0.8, B=0.6, C=0.4), **limits)(ranked)
    assert ambiguous.documents == ranked.documents
    incorrect = Corrective(Grader(A=0.2, B=0.6, C=0.1), **limits)(ranked)
    assert (incorrect.documents, incorrect.documents_read) == ((), 0)


def test_correct_without_a_relevant_strip_reads_the_best(parts: Parts) -> None:
    ranked = parts.encoder.describe("Which?", [Document("A a. x. y. B b."), Document("C c.")])

    class Sequel(Grader):
        def __call__(self, question: str, documents: list[Document], vectors: np.ndarray | None = None) -> list[float]:
            return [0.95] * len(documents) if vectors is not None else [0.1, 0.2, 0.15][: len(documents)]

    refinement = Corrective(Sequel(), 0.9, 0.3, 0.5)(ranked)
    assert [document.text for document in refinement.documents] == ["B b."]


@pytest.mark.parametrize(("threshold", "read"), [(0.0, "strips"), (1.0, "nothing")])
def test_the_relevance_head_as_evaluator(parts: Parts, threshold: float, read: str) -> None:
    (prediction,) = parts.method("crag", threshold=threshold).answer([parts.ranked(5)])
    assert (prediction.documents_read > 0) == (read == "strips")
    assert prediction.prompt_tokens > 0
    assert not prediction.abstained


def test_more_strips_than_an_adapter_takes_are_graded_in_turn(parts: Parts) -> None:
    documents = parts.ranked(8).documents * 2
    grades = by_head(parts.reader(), parts.encoder)("Which?", documents, None)
    assert len(grades) == 16
    assert grades[:8] == pytest.approx(grades[8:])


def test_a_cross_encoder_as_evaluator_gives_probabilities(parts: Parts, tmp_path: Path) -> None:
    method = refined(parts, f"crag={tiny_cross_encoder_folder(tmp_path / 'cross')}")
    assert isinstance(method.refine, Corrective)
    grades = method.refine.grade("Which?", parts.ranked(3).documents, None)
    assert all(0 < grade < 1 for grade in grades)
    assert method.answer([parts.ranked(3)])[0].prompt_tokens > 0


def test_relevance_in_words() -> None:
    assert in_words(0.934) == "very good (0.93)"
    assert in_words(0.5) == "good (0.50)"
    assert in_words(0.0) == "very poor (0.00)"


def test_relevance_stands_before_each_document(parts: Parts) -> None:
    ranked, method = parts.ranked(3), refined(parts, "r2ag-words")
    probabilities = parts.reader().assess([ranked]).probabilities[0]
    told = method.refine(ranked)
    assert [document.text for document in told.documents] == [
        f"Match: {in_words(probability)}. {document.passage}"
        for probability, document in zip(probabilities, ranked.documents, strict=True)
    ]
    template = reader_of(method).builder.template
    assert not template.has_slots
    assert "how well it matches" in template.head
    assert method.answer([ranked])[0].documents_read == 3


def test_what_refining_depends_on_is_in_the_settings(parts: Parts) -> None:
    assert parts.method("cutoff:0.2").settings != parts.method("cutoff:0.3").settings
    assert parts.method("recomp:1").settings != parts.method("recomp:2").settings
    assert parts.method("crag").settings != parts.method("crag", threshold=0.4).settings
    assert parts.method("cot").settings != parts.method("rag").settings


def test_a_bench_without_an_encoder_loads_the_adapters_own(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    from r2ag.evaluation.methods.bench import Bench

    monkeypatch.setattr("r2ag.adapter.loading.load_encoder", lambda adapter: tiny_encoder())
    assert Bench(parts.reader()).describing_encoder is tiny_encoder()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with chat_server(lambda message: "1400") as server:
        yield server


def test_models_and_addresses() -> None:
    assert Spec.parse("rag=vendor/m:8b@http://host:1/v1").server() == ("vendor/m:8b", "http://host:1/v1")
    for folder in ("rag", "rag=runs/a@b", "rag=m@ftp://host"):
        assert Spec.parse(folder).server() is None


def test_plain_rag_by_a_server(parts: Parts, server: Server) -> None:
    ranked, method = parts.ranked(3), parts.method(f"rag:one-shot=some-model@{server.url}")
    assert method.name == "rag:one-shot"
    (prediction,) = method.answer([ranked])
    (request,) = server.requests
    assert request["messages"][0]["content"] == as_text(plain_template("one-shot"), ranked.question, ranked.documents)
    assert (request["model"], request["max_tokens"]) == ("some-model", 4)
    assert (prediction.text, prediction.prompt_tokens, prediction.completion_tokens) == ("1400", 11, 3)
    assert (prediction.documents_read, prediction.seconds > 0) == (3, True)
    assert method.settings != parts.method(f"rag=some-model@{server.url}").settings
    assert method.settings != parts.method(f"rag:one-shot=another@{server.url}").settings


def test_relevance_in_words_by_a_server(parts: Parts, server: Server) -> None:
    ranked, method = parts.ranked(2), parts.method(f"r2ag-words=some-model@{server.url}")
    assert isinstance(method, Refined)
    assert isinstance(method.llm, ServerLLM)
    here = parts.method("r2ag-words")
    assert isinstance(here, Refined)
    assert method.refine(ranked) == here.refine(ranked)
    method.answer([ranked])
    said = server.requests[0]["messages"][0]["content"]
    assert all(document.text in said for document in here.refine(ranked).documents)
    assert "{" not in said
