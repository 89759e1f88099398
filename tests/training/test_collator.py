from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from r2ag.method.features import list_features
from r2ag.method.prompting import PromptBuilder
from r2ag.training.collator import Collator
from r2ag.training.lists import TrainingList
from r2ag.types import FEATURES, Document, RankedList
from tests.tiny import some_documents, tiny_encoder, tiny_tokenizer
from tests.training.conftest import TEMPLATE, TEMPLATES

QUESTION = "When was the bridge built?"
MEANS = torch.tensor([0.5, 0.25, 0.125])
TOKENIZER = tiny_tokenizer("bytes", "chatml")


def collate(*lists: TrainingList, max_prompt_tokens: int = 400) -> dict[str, Any]:
    return Collator(PromptBuilder(TOKENIZER, TEMPLATE), "cosine", FEATURES, MEANS, max_prompt_tokens)(lists)


def ranked(documents: list[Document]) -> RankedList:
    return tiny_encoder().describe(QUESTION, documents)


def with_long_document(ending: str) -> RankedList:
    return ranked([Document("The river rose. " * 60 + ending, relevant=True), *some_documents(1)])


def test_lists_of_unequal_length_become_one_batch():
    lists = [ranked(list(some_documents(count))) for count in (2, 4)]
    batch = collate(TrainingList(lists[0], "1400"), TrainingList(lists[1], "in 1400"))
    features, mask = list_features(lists, "cosine")
    assert torch.equal(batch["features"], features)
    assert torch.equal(batch["mask"], mask)
    assert batch["relevant"].tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    assert [len(prompt.slots) for prompt in batch["prompts"]] == [2, 4]
    end = TOKENIZER.convert_tokens_to_ids("<|im_end|>")
    assert [TOKENIZER.decode(target[:-1]) for target in batch["targets"]] == ["1400", "in 1400"]
    assert [target[-1] for target in batch["targets"]] == [end, end]


def test_the_curriculum_gives_labels_for_probabilities():
    lists = [ranked(list(some_documents(count))) for count in (2, 4)]
    batch = collate(TrainingList(lists[0], "1400"), TrainingList(lists[1], "in 1400", gold_relevance=True))
    assert batch["relevance"][0].isnan().all()
    assert torch.equal(batch["relevance"][1], batch["relevant"][1])


def test_lists_without_an_answer_have_no_prompt():
    own = ranked(list(some_documents(2)))
    batch = collate(TrainingList(own, None), TrainingList(own, "1400"))
    assert batch["prompts"][0] is None
    assert batch["targets"][0] == []
    assert batch["prompts"][1] is not None


def test_a_teacher_reads_the_relevant_documents_alone():
    documents = [replace(document, relevant=row in (1, 2)) for row, document in enumerate(some_documents(4))]
    plain = PromptBuilder(TOKENIZER, TEMPLATES["raft"])
    lists = [TrainingList(ranked(documents), "1400"), TrainingList(ranked(documents), None)]
    collator = Collator(PromptBuilder(TOKENIZER, TEMPLATE), "cosine", FEATURES, MEANS, 400, plain)
    teachers = collator(lists)["teachers"]
    assert teachers == [plain.build(QUESTION, documents[1:3], 400), None]
    assert collate(*lists)["teachers"] == [None, None]


def test_dropped_features_are_replaced_by_the_means():
    own = ranked(list(some_documents(2)))
    batch = collate(TrainingList(own, None, drop_features=True), TrainingList(own, None))
    assert torch.equal(batch["features"][0], MEANS.expand(2, 3))
    assert torch.equal(batch["features"][1], list_features([own], "cosine")[0][0])


def test_a_prompt_whose_shortening_lost_the_answer_trains_matching_alone():
    lost, kept = with_long_document("It was built in 1471."), with_long_document("")
    batch = collate(
        TrainingList(lost, "1471"),  # cut away
        TrainingList(lost, "yes"),  # stands in no document, so it can't be cut away
        TrainingList(lost, "THE RIVER"),  # stands at the beginning
        TrainingList(kept, "1471"),  # never stood there
    )
    assert [prompt is None for prompt in batch["prompts"]] == [True, False, False, False]
    assert [len(target) > 0 for target in batch["targets"]] == [False, True, True, True]
    assert all(prompt.shortened for prompt in batch["prompts"][1:])
    whole = collate(TrainingList(lost, "1471"), max_prompt_tokens=2000)["prompts"][0]
    assert whole.shortened == 0
