from __future__ import annotations

from dataclasses import replace

import pytest

from r2ag.errors import InputError
from r2ag.method.prompting import PromptBuilder
from r2ag.method.templates import DEFAULT_PLAIN, PLAIN_FAMILIES, plain_template, thinking, with_match_words, with_slots
from tests.tiny import some_documents, tiny_tokenizer

FAMILIES = pytest.mark.parametrize("name", PLAIN_FAMILIES)
QUESTION = "Who built the oldest bridge?"


@pytest.mark.parametrize("template", ["none", "chatml"])
@FAMILIES
def test_every_family_builds_a_prompt_without_slots(name, template):
    tokenizer = tiny_tokenizer("bytes", template)
    documents = some_documents(3)
    prompt = PromptBuilder(tokenizer, plain_template(name)).build(QUESTION, documents, 4096)
    assert prompt.slots == ((), (), ())
    text = tokenizer.decode(prompt.ids)
    places = [text.index(f"[{number}] {document.passage}") for number, document in enumerate(documents, start=1)]
    assert places == sorted(places)
    assert text.count(QUESTION) == (2 if name.startswith("question-first") else 1)
    assert text.rindex(QUESTION) > places[-1]
    assert ("<|im_start|>" in text) == (template == "chatml" and not name.endswith("-plain"))


def test_families_differ():
    assert len(set(PLAIN_FAMILIES.values())) == len(PLAIN_FAMILIES)
    assert DEFAULT_PLAIN in PLAIN_FAMILIES


@FAMILIES
def test_label_and_slots_stand_in_front_of_each_document(name):
    tokenizer = tiny_tokenizer()
    prompt = PromptBuilder(tokenizer, with_slots(plain_template(name)), slots=2).build(
        QUESTION, some_documents(2), 4096
    )
    for number, positions in enumerate(prompt.slots, start=1):
        assert len(positions) == 2
        assert tokenizer.decode(prompt.ids[: positions[0]]).endswith(f"\n[{number}] Match:")
        assert tokenizer.decode(prompt.ids[positions[-1] + 1 :]).startswith(" The" if number == 1 else " Bridge")


@FAMILIES
def test_slots_and_their_label_are_all_that_r2ag_adds(name):
    plain = plain_template(name)
    ours = with_slots(plain)
    assert ours.has_slots
    assert not plain.has_slots
    assert ours.document.replace("Match:{slots} ", "") == plain.document
    sentence = "In front of each result stands information on how well it matches the question."
    assert ours.head.replace(f" {sentence}", "").replace(f"{sentence}\n", "") == plain.head
    assert (ours.tail, ours.answer_cue, ours.chat, ours.stop) == (plain.tail, plain.answer_cue, plain.chat, plain.stop)


@FAMILIES
def test_an_answer_ends_with_its_turn_or_with_its_line(name):
    template = plain_template(name)
    tokenizer = tiny_tokenizer("bytes", "chatml")
    builder = PromptBuilder(tokenizer, template)
    target = tokenizer.decode(builder.target("Bern"))
    assert target == (" Bern\n" if name.endswith("-plain") else "Bern<|im_end|>")
    prompt = tokenizer.decode(builder.build("Which town?", some_documents(1), 500).ids)
    assert prompt.endswith("\nAnswer:") == name.endswith("-plain")
    assert "Which town?" in prompt


def test_an_unknown_family_is_refused():
    with pytest.raises(InputError, match=r"no prompt family haiku.* question-last.* short-answer"):
        plain_template("haiku")


@FAMILIES
def test_thinking_asks_for_reasoning_and_begins_it(name):
    plain, reasoned = plain_template(name), thinking(plain_template(name))
    assert reasoned.answer_cue == f"{plain.answer_cue} Let's think step by step.".strip()
    assert "Give only the answer" not in reasoned.head + reasoned.tail
    assert (reasoned.document, reasoned.chat, reasoned.stop) == (plain.document, plain.chat, plain.stop)
    assert ("Reason briefly" in reasoned.head + reasoned.tail) == ("Give only the answer" in plain.head + plain.tail)


@FAMILIES
def test_match_words_announce_what_slots_would(name):
    plain, told = plain_template(name), with_match_words(plain_template(name))
    assert told == replace(plain, head=with_slots(plain).head)
