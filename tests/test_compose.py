"""examples/compose.yaml: what it promises of itself, and options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main
import yaml

from r2ag.cli import app

FILE = Path(__file__).parents[1] / "examples" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]


def test_images_are_pinned_and_services_watched() -> None:
    build = SERVICES["r2ag"]["build"]["dockerfile_inline"]
    for image in (SERVICES["vllm"]["image"], re.findall(r"FROM (\S+)", build)[0]):
        assert re.search(r":v?\d+\.\d+\.\d+", image), image
    assert all("healthcheck" in service for service in SERVICES.values())
    assert SERVICES["r2ag"]["depends_on"] == {"vllm": {"condition": "service_healthy"}}


def test_only_the_gateway_reaches_the_engine() -> None:
    assert "ports" not in SERVICES["vllm"]
    assert SERVICES["vllm"]["networks"] == ["engine"]
    assert COMPOSE["networks"]["engine"] == {"internal": True}
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["r2ag"]["ports"])


def test_the_gateways_options_are_known_and_its_engine_is_the_other_service() -> None:
    command, *arguments = SERVICES["r2ag"]["command"]
    known = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    parameters = known.make_context("r2ag", arguments, resilient_parsing=True).params
    assert parameters["engine"] == "vllm"
    assert parameters["engine_url"] == "http://vllm:8000/v1"
    assert SERVICES["vllm"]["command"][0] == parameters["llm"]
    assert "--enable-prompt-embeds" in SERVICES["vllm"]["command"]
