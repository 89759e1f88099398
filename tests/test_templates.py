from __future__ import annotations

import pytest

from r2ag.errors import InputError
from r2ag.prompting import PromptBuilder
from r2ag.templates import DEFAULT_PLAIN, PLAIN_FAMILIES, plain_template, with_slots
from tests.tiny import some_documents, tiny_tokenizer

FAMILIES = pytest.mark.parametrize("name", PLAIN_FAMILIES)


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
    with pytest.raises(InputError, match="There is no prompt family haiku; choose one of question-last"):
        plain_template("haiku")
    assert DEFAULT_PLAIN in PLAIN_FAMILIES
