"""Answers by a real vLLM on this CPU, in Python, at the command line and through the server.

make test-engines installs it and names its Python in R2AG_TEST_VLLM; without that all of this is skipped.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import openai
import pytest
import torch

from r2ag.adapter.adapter import Adapter
from r2ag.answering.reader import Reader
from r2ag.corpus import read_documents
from r2ag.models import DEFAULT_LLM, resolve_llm
from r2ag.pipeline import Pipeline
from r2ag.samples import documents_folder, questions
from r2ag.server.guard import Limits
from r2ag.server.service import Service
from r2ag.types import Document
from tests.cli.conftest import Command, r2ag
from tests.engines.vllm_process import VLLMProcess
from tests.server.conftest import Running, eventually, running
from tests.server.test_forgery import FORGED

__all__ = ["r2ag"]  # a fixture
VLLM = os.environ.get("R2AG_TEST_VLLM", "")
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not VLLM, reason="R2AG_TEST_VLLM names no Python with vLLM; make test-engines installs one"),
]
COFFEE, BRIDGE = "Who invented the paper coffee filter?", "When did the Golden Gate Bridge open?"
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMProcess]:
    process = VLLMProcess(VLLM, resolve_llm(DEFAULT_LLM), tmp_path_factory.mktemp("vllm") / "log")
    process.start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def here() -> Pipeline:
    """The LLM in this process, in the dtype that vLLM has it in."""
    return filled(Pipeline.from_pretrained(dtype=torch.bfloat16))


@pytest.fixture(scope="module")
def there(vllm: VLLMProcess) -> Pipeline:
    return filled(Pipeline.from_pretrained(engine_url=vllm.url))


@pytest.fixture(scope="module")
def gateway(there: Pipeline) -> Iterator[Running]:
    with running(Service.of(there, limits=Limits(deadline_s=DEADLINE_S))) as server:
        yield server


@pytest.fixture(scope="module")
def endless(there: Pipeline, vllm: VLLMProcess) -> Iterator[Running]:
    """Answers go on: no line's end stops them, and the LLM's few examples lead to ever more."""
    adapter = there.reader.adapter
    template = replace(adapter.config.template, stop="")
    changed = Adapter(replace(adapter.config, template=template), adapter.former, adapter.probes, adapter.folder)
    pipeline = Pipeline(Reader.at_engine(changed, vllm.url), there.encoder)
    pipeline.held = there.held
    with running(Service.of(pipeline, limits=Limits(deadline_s=600))) as server:
        yield server


def filled(pipeline: Pipeline) -> Pipeline:
    encoder = pipeline.encoder
    pipeline.add(read_documents([documents_folder()], encoder.count_tokens, encoder.passage_tokens))
    return pipeline


def ask(server: Running, question: str = COFFEE, **options: Any) -> Any:
    return server.openai().completions.create(model="r2ag", prompt=question, **options)


def test_greedy_answers_are_those_of_this_process(here: Pipeline, there: Pipeline) -> None:
    """But where two tokens are as likely as one another: logits of 16 to 32 are an eighth apart in bfloat16."""
    from benchmarks.engines import compare

    asked = [here.find(sample.question).ranked for sample in questions()]
    differences = [compare(here.reader, there.reader, ranked, 32) for ranked in asked]
    different = [difference for difference in differences if difference is not None]
    assert len(different) <= 1
    for difference in different:
        mine, yours = difference["log_probabilities"]
        assert abs(mine - yours) <= 0.13, difference


def test_batches_are_answered_as_one_by_one(there: Pipeline) -> None:
    lists = [there.find(question, k=count).ranked for question, count in ((COFFEE, 3), (BRIDGE, 5))]
    together = there.reader.read(lists, there.reader.assess(lists), 16)
    alone = [there.reader.read([ranked], there.reader.assess([ranked]), 16)[0] for ranked in lists]
    assert [reading.generation.text for reading in together] == [reading.generation.text for reading in alone]
    assert [len(reading.prompt) for reading in together] == [len(reading.prompt) for reading in alone]


def test_limits_stops_and_seeds_are_honoured(gateway: Running) -> None:
    whole = ask(gateway).choices[0]
    assert "Melitta Bentz" in whole.text
    assert whole.finish_reason == "stop"
    cut = ask(gateway, max_tokens=2).choices[0]
    assert whole.text.startswith(cut.text)
    assert cut.finish_reason == "length"
    # The answer's first token begins with a space, which ends nothing.
    assert ask(gateway, stop=[" "]).choices[0].text == whole.text.partition(" ")[0]
    drawn = [ask(gateway, temperature=2, seed=seed, max_tokens=8).choices[0].text for seed in (7, 7, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


def test_streams_side_by_side(gateway: Running) -> None:
    def stream(question: str) -> str:
        chunks = ask(gateway, question, stream=True)
        return "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)

    expected = {COFFEE: "Bentz", BRIDGE: "1937"}
    with ThreadPoolExecutor(6) as clients:
        texts = list(clients.map(stream, [COFFEE, BRIDGE] * 3))
    assert all(word in text for word, text in zip(list(expected.values()) * 3, texts, strict=True))
    assert gateway.service.slots.taken == 0


def test_a_follow_up_is_made_to_stand_alone(gateway: Running) -> None:
    said = [("user", BRIDGE), ("assistant", "1937"), ("user", "How long is it?")]
    messages: Any = [{"role": role, "content": content} for role, content in said]
    response: Any = gateway.openai().chat.completions.create(model="r2ag", messages=messages)
    assert "Golden Gate" in response.r2ag["question"]
    assert "1,280 metres" in response.choices[0].message.content


def test_forged_tokens_and_scripts_are_text(gateway: Running, here: Pipeline) -> None:
    """The answer is the one that the LLM in this process gives, whose prompts tests/server/test_forgery.py looks at."""
    texts = [f"{FORGED} The filter of Melitta Bentz.", "<script>alert(1)</script> The first paper filter was Bentz's."]
    body = {"model": "r2ag", "prompt": f"{COFFEE} {FORGED}", "max_tokens": 16, "abstain": False, "prune": False}
    response = gateway.http().post("/v1/completions", json=body | {"documents": texts})
    assert response.status_code == 200
    documents = [Document(text) for text in texts]
    expected = here.ask(body["prompt"], documents, max_new_tokens=16, abstain=False, prune=False)
    assert response.json()["choices"][0]["text"] == expected.text


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions"])
def test_no_client_sends_a_tensor(gateway: Running, path: str) -> None:
    body: dict[str, Any] = {"model": "r2ag", "prompt": COFFEE, "messages": [{"role": "user", "content": COFFEE}]}
    del body["messages" if path == "/v1/completions" else "prompt"]
    response = gateway.http().post(path, json=body | {"prompt_embeds": "AAAA"})
    assert response.status_code == 400
    assert "prompt_embeds" in response.text


def test_where_it_looked_is_not_told(gateway: Running) -> None:
    assert ask(gateway, max_tokens=1).r2ag["has_attention"] is False
    response = gateway.http().post("/r2ag/attention", json={"question": COFFEE})
    assert response.status_code == 400
    assert "can't be known here" in response.json()["error"]["message"]


def test_the_command_line(r2ag: Command, vllm: VLLMProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{COFFEE}\n/why\n"))
    outcome = r2ag("ask", "--docs", documents_folder(), "--engine", "vllm", "--engine-url", vllm.url)
    assert outcome.status == 0, outcome.err
    assert "Bentz" in outcome.out
    assert "What the anchors did can't be told" in outcome.err
    assert "relevant: how probable" in outcome.out


def test_a_client_that_hangs_up_ends_vllms_work(endless: Running, vllm: VLLMProcess) -> None:
    before = vllm.finished
    with ask(endless, stream=True, max_tokens=1000) as chunks:
        next(chunks)
        assert vllm.running == 1
    eventually(lambda: endless.service.slots.taken == 0)
    eventually(lambda: vllm.running == 0)
    assert vllm.finished == before


def test_an_engine_that_hangs_is_a_504(there: Pipeline, vllm: VLLMProcess) -> None:
    with running(Service.of(there, limits=Limits(deadline_s=5))) as server:
        vllm.send(signal.SIGSTOP)
        try:
            with pytest.raises(openai.InternalServerError, match="took longer") as caught:
                ask(server)
            assert caught.value.status_code == 504
            assert server.http().get("/ready").status_code == 503
            assert server.http().get("/health").status_code == 200
        finally:
            vllm.send(signal.SIGCONT)
        eventually(lambda: server.http().get("/ready").status_code == 200)


def test_an_engine_killed_in_the_middle_of_a_stream(
    endless: Running, gateway: Running, vllm: VLLMProcess, r2ag: Command
) -> None:
    chunks = ask(endless, stream=True, max_tokens=1000)
    next(chunks)
    vllm.kill()
    with pytest.raises(openai.APIError, match="The engine that writes the answers failed") as caught:
        list(chunks)
    assert caught.value.code == "engine_failed"
    with pytest.raises(openai.InternalServerError) as refused:
        ask(gateway)
    assert refused.value.status_code == 502
    assert vllm.url not in refused.value.message
    assert gateway.http().get("/health").status_code == 200
    assert gateway.http().get("/ready").status_code == 503
    rerank = {"model": "r2ag", "query": COFFEE, "documents": ["The filter of Melitta Bentz.", "A bridge."]}
    assert gateway.http().post("/v1/rerank", json=rerank).status_code == 200
    sentence = r2ag.refused("ask", COFFEE, "--docs", documents_folder(), "--engine", "vllm", "--engine-url", vllm.url)
    assert "can't be reached" in sentence
    vllm.start()
    assert gateway.http().get("/ready").status_code == 200
    assert "Bentz" in ask(gateway).choices[0].text
    assert endless.service.slots.taken == 0


def test_no_more_of_the_llm_is_loaded_than_its_embeddings(there: Pipeline) -> None:
    llm = there.reader.model.llm
    assert sum(not parameter.is_meta for parameter in llm.parameters()) == 1
