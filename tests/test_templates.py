from __future__ import annotations

import pytest

from r2ag.errors import InputError
from r2ag.prompting import PromptBuilder
from r2ag.templates import DEFAULT_PLAIN, PLAIN_FAMILIES, R2AG, plain_template, without_slots
from tests.tiny import some_documents, tiny_tokenizer

QUESTION = "Who built the oldest bridge?"


@pytest.mark.parametrize("template", ["none", "chatml"])
@pytest.mark.parametrize("family", PLAIN_FAMILIES)
def test_every_family_builds_a_prompt_without_slots(family, template):
    tokenizer = tiny_tokenizer("bytes", template)
    documents = some_documents(3)
    prompt = PromptBuilder(tokenizer, plain_template(family)).build(QUESTION, documents, 4096)
    assert prompt.slots == ((), (), ())
    text = tokenizer.decode(prompt.ids)
    places = [text.index(f"[{number}] {document.passage}") for number, document in enumerate(documents, start=1)]
    assert places == sorted(places)
    assert text.count(QUESTION) == (2 if family.startswith("question-first") else 1)
    assert text.rindex(QUESTION) > places[-1]
    assert ("<|im_start|>" in text) == (template == "chatml" and not family.endswith("-plain"))


def test_families_differ():
    assert len(set(PLAIN_FAMILIES.values())) == len(PLAIN_FAMILIES)
    assert DEFAULT_PLAIN in PLAIN_FAMILIES


def test_an_unknown_family_is_refused_with_a_list():
    with pytest.raises(InputError, match=r"no prompt family haiku.* question-last.* short-answer"):
        plain_template("haiku")


def test_the_own_prompt_has_its_label_and_slots_in_front_of_each_document():
    tokenizer = tiny_tokenizer()
    prompt = PromptBuilder(tokenizer, R2AG, slots=2).build(QUESTION, some_documents(2), 4096)
    for number, positions in enumerate(prompt.slots, start=1):
        assert len(positions) == 2
        assert tokenizer.decode(prompt.ids[: positions[0]]).endswith(f"\n[{number}] Match:")
        assert tokenizer.decode(prompt.ids[positions[-1] + 1 :]).startswith(" The" if number == 1 else " Bridge")


def test_without_slots_leaves_no_trace_of_them():
    plain = without_slots(R2AG)
    assert not plain.has_slots
    words = R2AG.head + R2AG.document
    for trace in (" In front of each result stands information on how well it matches the question.", " Match:{slots}"):
        assert trace in words
        words = words.replace(trace, "")
    assert plain.head + plain.document == words
    assert (plain.tail, plain.answer_cue, plain.chat) == (R2AG.tail, R2AG.answer_cue, R2AG.chat)
