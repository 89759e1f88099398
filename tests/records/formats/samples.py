"""Small data sets in the forms in which the real ones are published, in words of our own."""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]

NQ: Fields = {
    "question": "who built the town bridge",
    "answers": ["a mason", "Ann Mason"],
    "ctxs": [
        {"id": "7", "title": "Town bridge", "text": "A mason built it.", "hasanswer": True, "isgold": True},
        {
            "id": "8",
            "title": "River",
            "text": "The river is long.",
            "score": "1.2",
            "hasanswer": False,
            "isgold": False,
        },
        {"id": "9", "title": "", "text": "It fell in 1802.", "hasanswer": False, "isgold": False},
    ],
    "nq_annotated_gold": {"title": "Town bridge", "short_answers": ["a mason"]},
}
HOTPOTQA: Fields = {
    "_id": "5a7a",
    "question": "In which town was the builder of the bridge born?",
    "answer": "Ulm",
    "supporting_facts": [["Bridge", 0], ["Mason", 1]],
    "context": [
        ["River", ["The river is long.", " It is cold."]],
        ["Mason", ["A mason.", " Born in Ulm."]],
        ["Bridge", ["Built by Mason."]],
        ["Empty", []],
    ],
    "type": "bridge",
    "level": "hard",
}
HUB_HOTPOTQA: Fields = {
    "id": "5a7a",
    "question": HOTPOTQA["question"],
    "answer": "Ulm",
    "supporting_facts": {"title": ["Bridge", "Mason"], "sent_id": [0, 1]},
    "context": {
        "title": ["River", "Mason", "Bridge", "Empty"],
        "sentences": [["The river is long.", " It is cold."], ["A mason.", " Born in Ulm."], ["Built by Mason."], []],
    },
}
TWO_WIKI: Fields = HOTPOTQA | {"type": "compositional", "evidences": [["Bridge", "builder", "Mason"]], "entity_ids": ""}
MUSIQUE: Fields = {
    "id": "2hop__1_2",
    "question": "Where was the builder of the bridge born?",
    "question_decomposition": [],
    "answer": "Ulm",
    "answer_aliases": ["Ulm on the Danube", "Ulm"],
    "answerable": True,
    "paragraphs": [
        {"idx": 0, "title": "River", "paragraph_text": "The river is long.", "is_supporting": False},
        {"idx": 1, "title": "Mason", "paragraph_text": "Born in Ulm.", "is_supporting": True},
    ],
}
DUREADER: Fields = {
    "question_id": 186358,
    "question_type": "ENTITY",
    "question": "谁建了这座桥",
    "documents": [
        {"title": "石桥", "paragraphs": ["桥很老。", "石匠建的。"], "bs_rank_pos": 0, "is_selected": True},
        {"title": "河", "paragraphs": ["河很长。"], "bs_rank_pos": 1, "is_selected": False},
        {"title": "空", "paragraphs": [], "bs_rank_pos": 2, "is_selected": False},
    ],
    "answers": ["石匠。"],
}
LONGBENCH: Fields = {
    "input": "谁建了这座桥",
    "context": (
        "文章1\n标题：河\n内容：河很长，\n文章7\n水很冷。\n\n文章2\n标题：石桥\n这座桥是一位老石匠在一四七一年建成的。\n\n文章3\n没有标题的文章。\n"
    ),
    "answers": ["一位老石匠建成的"],
    "length": 60,
    "dataset": "dureader",
    "language": "zh",
    "all_classes": None,
    "_id": "d1",
}
FLASHRAG: Fields = {
    "id": "test_0",
    "question": HOTPOTQA["question"],
    "golden_answers": ["Ulm"],
    "metadata": {
        "supporting_facts": HUB_HOTPOTQA["supporting_facts"],
        "context": {"title": ["Mason", "River"], "content": [["Born in Ulm."], ["Long.", "Cold."]]},
    },
}
OWN: Fields = {
    "id": "1",
    "question": "Who built the bridge?",
    "answers": ["a mason"],
    "documents": [{"title": "Bridge", "text": "A mason built it.", "relevant": True}, {"text": "It fell."}],
}
ALL = {
    "lost-in-the-middle": NQ,
    "hotpotqa": HOTPOTQA,
    "2wikimultihopqa": TWO_WIKI,
    "musique": MUSIQUE,
    "dureader": DUREADER,
    "longbench-dureader": LONGBENCH,
    "flashrag": FLASHRAG,
    "r2ag": OWN,
}
