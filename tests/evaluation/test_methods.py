from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from peft import PeftModel

from r2ag.adapter.adapter import Adapter
from r2ag.answering.reader import Reader
from r2ag.errors import InputError
from r2ag.evaluation.methods import APPROXIMATIONS, METHODS, Method, create_method, parse_methods
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.r2ag import R2AG, derangements, gold_labels
from r2ag.evaluation.methods.rag import nearest
from r2ag.evaluation.methods.refined import LocalLLM, Refined
from r2ag.evaluation.run import arrange
from r2ag.method.former import R2Former
from r2ag.types import RankedList
from tests.evaluation.conftest import SIZES, Parts
from tests.tiny import HIDDEN, tiny_encoder_folder, tiny_llm


def made(parts: Parts, text: str, threshold: float = 0.5) -> Method:
    bench = Bench(parts.reader(threshold=threshold), parts.encoder, max_new_tokens=4)
    return create_method(parse_methods([text])[0], bench)


def texts(method: Method, lists: list[RankedList]) -> list[str]:
    return [prediction.text for prediction in method.answer(lists)]


def test_importing_the_registry_loads_no_torch() -> None:
    code = "import sys, r2ag.evaluation.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_methods_that_there_are_differ_from_published_ones() -> None:
    assert set(APPROXIMATIONS) < set(METHODS)


def test_specifications() -> None:
    plain, paper, ours = parse_methods(["rag:few-shot", "r2ag=runs/paper", "learned-tokens=runs/a:b"])
    assert (plain.base, plain.argument, plain.name) == ("rag", "few-shot", "rag:few-shot")
    assert (paper.folder, paper.name) == ("runs/paper", "r2ag")
    assert (ours.argument, ours.folder) == ("", "runs/a:b")


def test_an_adapter_is_named_where_two_methods_differ_by_it() -> None:
    names = [spec.name for spec in parse_methods(["rag", "r2ag", "r2ag=runs/paper"])]
    assert names == ["rag", "r2ag", "r2ag=runs/paper"]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], "No method"),
        (["magic"], "choose from rag, rag-topn"),
        (["rag", "rag"], "named twice"),
    ],
)
def test_unusable_specifications(specs: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_methods(specs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rag:magic", "no prompt family magic"),
        ("rag-topn:0", "number of documents from 1"),
        ("r2ag+top", "number of documents from 1"),
        ("r2ag:3", "nothing behind a colon"),
        ("learned-tokens", "adapter of learned tokens"),
        ("xrag", "adapter of xRAG"),
        ("raft", "adapter of RAFT"),
        ("r2ag+raft", "LoRA"),
        ("r2ag=/nowhere/at/all", "no adapter folder"),
    ],
)
def test_unusable_methods(parts: Parts, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(parts, spec)


def test_plain_rag_reads_all_with_its_own_prompt(parts: Parts) -> None:
    (prediction,) = made(parts, "rag").answer([parts.ranked(3)])
    assert (prediction.documents_read, prediction.abstained) == (3, False)
    assert prediction.prompt_tokens > 0
    assert 0 <= prediction.completion_tokens <= 4
    (other,) = made(parts, "rag:short-answer").answer([parts.ranked(3)])
    assert other.prompt_tokens != prediction.prompt_tokens


@pytest.mark.parametrize(("spec", "count"), [("rag-topn", 2), ("rag-topn:3", 3), ("rag-topn:9", 5)])
def test_top_n_reads_the_nearest_in_list_order(parts: Parts, spec: str, count: int) -> None:
    method, shuffled = made(parts, spec), arrange(parts.ranked(5), "shuffled", seed=3)
    assert method.answer([shuffled])[0].documents_read == count
    best = {document.text for document in arrange(shuffled, "encoder", k=count).documents}
    kept = nearest(shuffled, count)
    assert kept == sorted(kept)
    assert {shuffled.documents[index].text for index in kept} == best


def test_r2ag_answers_as_the_reader_does(parts: Parts) -> None:
    method, ranked = made(parts, "r2ag"), parts.ranked(4)
    reader = parts.reader()
    expected = reader.read([ranked], reader.assess([ranked]), 4)[0]
    (prediction,) = method.answer([ranked])
    assert prediction.text == expected.generation.text
    assert prediction.prompt_tokens == len(expected.prompt)
    assert prediction.documents_read == 4


@pytest.mark.parametrize(
    "spec", ["rag", "rag-topn", "r2ag", "r2ag-permuted", "r2ag+prune", "r2ag+top:2", "r2ag+abstain"]
)
def test_a_batch_of_unequal_lists_is_answered_as_one_at_a_time(parts: Parts, spec: str) -> None:
    method, lists = made(parts, spec), [parts.ranked(count, f"Which bridge is number {count}?") for count in (1, 4, 2)]
    assert texts(method, lists) == [text for ranked in lists for text in texts(method, [ranked])]


def test_permutation_leaves_no_document_its_features(parts: Parts) -> None:
    lists = [parts.ranked(count, f"{count}?") for count in (1, 2, 5, 8)]
    rows = derangements(lists, seed=0).tolist()
    for row, ranked in zip(rows, lists, strict=True):
        k = len(ranked)
        assert sorted(row[:k]) == list(range(k))
        assert row[k:] == list(range(k, 8))
        assert k == 1 or all(index != place for place, index in enumerate(row[:k]))
    assert derangements(lists[2:3], seed=0).tolist() == [rows[2][:5]]
    assert derangements(lists[3:], seed=1).tolist() != [rows[3]]


def test_permuted_features_reach_the_anchors(parts: Parts) -> None:
    reader, ranked = parts.reader(), parts.ranked(3)
    permutation = derangements([ranked], 0)
    true, permuted = reader.assess([ranked]), reader.assess([ranked], permutation)
    assert torch.equal(permuted.features[0], true.features[0][permutation[0]])
    assert not torch.equal(permuted.anchors, true.anchors)


def test_permuted_anchors_may_stand_before_the_documents_that_true_features_choose(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists, read = [parts.ranked(count, f"Which bridge is number {count}?") for count in (5, 3)], []
    for spec in ("r2ag+top:2", "r2ag-permuted:2"):
        method = made(parts, spec)
        assert isinstance(method, R2AG)
        answer = method.reader.read
        monkeypatch.setattr(
            method.reader, "read", lambda *given, answer=answer, **by: read.append((given, by)) or answer(*given, **by)
        )
        method.answer(lists)
    (ours, chosen), (permuted, chosen_again) = read
    assert chosen["keep"] == chosen_again["keep"]
    rows = derangements(lists, 0)
    assert torch.equal(permuted[1].features[1, :3], ours[1].features[1, rows[1, :3]])
    assert not torch.equal(permuted[1].anchors, ours[1].anchors)


def test_gold_labels_reach_the_anchors(parts: Parts) -> None:
    reader = parts.reader(sizes=replace(SIZES, relevance_direction=True))
    ranked = parts.ranked(3)
    documents = [replace(d, relevant=place > 0) for place, d in enumerate(ranked.documents)]
    relevant = replace(ranked, documents=tuple(documents))
    labels = gold_labels([relevant, relevant.reordered([0])])
    assert labels.tolist() == [[0, 1, 1], [0, 0, 0]]
    former, own = reader.adapter.former, reader.assess([ranked])
    assert isinstance(former, R2Former)
    assert former.direction is not None
    moved = reader.assess([ranked], relevance=labels[:1]).anchors - own.anchors
    step = former.projection.weight @ former.direction
    torch.testing.assert_close(moved[:, :, 0], (labels[:1] - own.logits.sigmoid())[..., None] * step)


def test_gold_labels_need_a_direction_to_move(parts: Parts) -> None:
    with pytest.raises(InputError, match="--relevance-direction"):
        made(parts, "r2ag-gold")


def test_choices_by_probability(parts: Parts) -> None:
    ranked = parts.ranked(5)
    probabilities = parts.reader().assess([ranked]).probabilities[0]
    best = sorted(range(5), key=lambda index: -probabilities[index])
    between = (probabilities[best[1]] + probabilities[best[2]]) / 2

    def chosen(spec: str, threshold: float) -> list[int]:
        method = made(parts, spec, threshold)
        assert isinstance(method, R2AG)
        return list(method.choose(probabilities))

    assert chosen("r2ag+prune", between) == sorted(best[:2])
    assert chosen("r2ag+prune", 1.0) == best[:1]
    assert chosen("r2ag+top:3", 1.0) == sorted(best[:3])
    assert chosen("r2ag+abstain", between) == [0, 1, 2, 3, 4]
    assert chosen("r2ag+abstain", 1.0) == []


def test_abstaining_costs_no_reading(parts: Parts) -> None:
    lists = [parts.ranked(3), parts.ranked(2)]
    for prediction in made(parts, "r2ag+abstain", threshold=1.0).answer(lists):
        assert (prediction.text, prediction.abstained) == ("", True)
        assert (prediction.prompt_tokens, prediction.documents_read) == (0, 0)


def test_a_batch_may_abstain_in_part(parts: Parts) -> None:
    lists = [parts.ranked(count, f"Which bridge is number {count}?") for count in (2, 3)]
    highest = [max(row) for row in parts.reader().assess(lists).probabilities]
    threshold = sum(highest) / 2
    assert [p.abstained for p in made(parts, "r2ag+abstain", threshold).answer(lists)] == [
        h < threshold for h in highest
    ]


def test_adapters_without_lora_share_the_llm(parts: Parts, saved: Callable[..., str]) -> None:
    bench = Bench(parts.reader(), parts.encoder, max_new_tokens=4)
    method = create_method(parse_methods([f"learned-tokens={saved('learned-tokens')}"])[0], bench)
    assert isinstance(method, R2AG)
    assert method.name == "learned-tokens"
    assert method.reader.model.llm is parts.llm
    assert method.answer([parts.ranked(3)])[0].documents_read == 3
    first = create_method(parse_methods([f"learned-tokens:2={saved('learned-tokens')}"])[0], bench)
    assert first.answer([parts.ranked(3)])[0].documents_read == 2


def test_xrag_reads_vectors_and_no_words(parts: Parts, saved: Callable[..., str]) -> None:
    bench = Bench(parts.reader(), parts.encoder, max_new_tokens=4)
    method = create_method(parse_methods([f"xrag:2={saved('xrag')}"])[0], bench)
    lists = [parts.ranked(3)]
    prediction = method.answer(lists)[0]
    assert prediction.documents_read == 2
    documents = tuple(replace(d, title="", text=f"{d.text} And more of this.") for d in lists[0].documents)
    longer = replace(lists[0], documents=documents)  # with the vectors of the shorter ones
    assert replace(method.answer([longer])[0], seconds=0) == replace(prediction, seconds=0)


def test_an_adapter_for_another_method_is_refused(parts: Parts, saved: Callable[..., str]) -> None:
    bench = Bench(parts.reader(), parts.encoder)
    with pytest.raises(InputError, match="R²AG adapter"):
        create_method(parse_methods([f"r2ag={saved('learned-tokens')}"])[0], bench)


def test_settings_tell_adapters_apart_and_plain_rag_ignores_them(parts: Parts) -> None:
    assert made(parts, "r2ag").settings == made(parts, "r2ag").settings
    assert made(parts, "r2ag").settings != made(parts, "r2ag", threshold=0.4).settings
    assert made(parts, "r2ag").settings != made(parts, "r2ag-permuted").settings
    assert made(parts, "rag").settings == made(parts, "rag", threshold=0.4).settings
    assert made(parts, "rag").settings != made(parts, "rag:few-shot").settings


def test_an_adapter_describes_lists_with_its_own_encoder(
    parts: Parts, saved: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from r2ag.encoder.encoder import FeatureEncoder

    folder = saved("r2ag")
    other = FeatureEncoder.from_pretrained(str(tiny_encoder_folder(tmp_path_factory.mktemp("dot"), similarity="dot")))
    ranked = other.describe("Which bridge is the oldest?", parts.ranked(3).documents)
    bench = Bench(parts.reader(), other, max_new_tokens=4)
    for name in ("r2ag", "r2ag-words"):
        method = create_method(parse_methods([f"{name}={folder}"])[0], bench)
        assert isinstance(method, R2AG | Refined)
        assert method.encoder is not None
        assert method.encoder.dimension == HIDDEN
        assert texts(method, [ranked]) == texts(made(parts, name), [parts.ranked(3)])


def test_plain_rag_never_answers_with_the_main_adapters_lora(
    parts: Parts, saved: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_llm(vocabulary=len(parts.tokenizer))
    adapter = Adapter.from_pretrained(saved("r2ag", lora=True))
    merged = PeftModel.from_pretrained(tiny_llm(vocabulary=len(parts.tokenizer)), str(adapter.llm_lora))
    reader = Reader(merged.merge_and_unload().eval(), parts.tokenizer, adapter)
    monkeypatch.setattr("r2ag.models.load_llm", lambda name, dtype, device: (base, parts.tokenizer))
    bench = Bench(reader, parts.encoder, max_new_tokens=4)
    plain, ours = (create_method(spec, bench) for spec in parse_methods(["rag", "r2ag+raft"]))
    assert isinstance(plain, Refined)
    assert isinstance(plain.llm, LocalLLM)
    assert plain.llm.reader.model.llm is base
    assert isinstance(ours, R2AG)
    assert ours.reader is reader
