from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from r2ag.cli import app
from r2ag.cli.settings import _commands, _options, use_settings, usual_file
from tests.cli.conftest import Command, Tiny


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file to write."""
    file = tmp_path / "settings.toml"
    monkeypatch.setenv("R2AG_SETTINGS", str(file))
    return file


def asked_with(r2ag: Command, tiny: Tiny, *arguments: object) -> int:
    """How many documents a question without --k takes."""
    outcome = r2ag(*tiny.ask("--json", "--max-new-tokens", "1"), *arguments)
    assert outcome.status == 0, outcome.err
    return len(json.loads(outcome.out)["documents"])


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    r2ag: Command, tiny: Tiny, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text("")
    assert asked_with(r2ag, tiny) == 5
    settings.write_text("[ask]\nk = 4\n")
    assert asked_with(r2ag, tiny) == 4
    monkeypatch.setenv("R2AG_ASK_K", "3")
    assert asked_with(r2ag, tiny) == 3
    assert asked_with(r2ag, tiny, "--k", 2) == 2


def test_every_kind_of_option(r2ag: Command, tiny: Tiny, settings: Path) -> None:
    names = [json.dumps(str(tiny.documents / f"{name}.md")) for name in ("bridge", "river")]
    settings.write_text(
        f"[ask]\ndocs = [{', '.join(names)}]\nadapter = {json.dumps(str(tiny.adapter))}\njson = true\n"
        "abstain = false\nmax-new-tokens = 1\n"
    )
    outcome = r2ag("ask", "Which bridge?")
    assert len(json.loads(outcome.out)["documents"]) == 2
    settings.write_text(settings.read_text().replace(f"[{', '.join(names)}]", names[0]))
    assert len(json.loads(r2ag("ask", "Which bridge?").out)["documents"]) == 1


def test_the_home_folder_is_found(
    r2ag: Command, tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings.write_text('[ask]\nstore = "~/no-store"\n')
    assert str(tmp_path / "no-store") in r2ag.refused("ask", "Which bridge?")


def test_groups_have_tables_and_variables(
    r2ag: Command, tiny: Tiny, tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_text("[data.mine]\ncount = 0\n")
    assert "[data.mine]: count is 0" in r2ag.refused("data", "stats", tiny.records)
    settings.write_text("")
    monkeypatch.setenv("R2AG_DATA_MINE_COUNT", "0")
    command = ("data", "mine", tiny.records, "--pool", tiny.documents, "--output", tmp_path / "out")
    assert "R2AG_DATA_MINE_COUNT" in r2ag.refused(*command)


def test_what_is_typed_of_documents_puts_aside_the_settings_of_a_store(
    r2ag: Command, tiny: Tiny, tmp_path: Path, settings: Path
) -> None:
    settings.write_text(f"[ask]\nstore = {json.dumps(str(tmp_path / 'no-store'))}\nfinder = 'hybrid'\n")
    assert asked_with(r2ag, tiny) == 5
    assert "no-store" in r2ag.refused("ask", "Which bridge?")
    assert "need --store" in r2ag.refused(*tiny.ask("--finder", "bm25"))
    settings.write_text(f"[ask]\ndocs = {json.dumps(str(tiny.documents))}\n")
    assert "other-store" in r2ag.refused("ask", "Which bridge?", "--store", tmp_path / "other-store")
    assert "can't go together" in r2ag.refused(*tiny.ask("--store", "other-store"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ask", "can't be read"),
        ("k = 4", "k outside of a command's table"),
        ("[frobnicate]\nk = 4", "[frobnicate], and r2ag no such command"),
        ("[store.frobnicate]\nk = 4", "[store.frobnicate], and r2ag no such command"),
        ("[store]\nk = 4", "store.k outside of a command's table"),
        ("[ask]\nfrobnicate = 4", "[ask] has frobnicate"),
        ("[ask]\nhelp = true", "[ask] has help"),
        ("[ask]\nno-prune = true", "[ask] has no-prune"),
        ("[ask]\nmax_new_tokens = 4", "[ask] has max_new_tokens"),
        ("[ask]\nk = true", "[ask]: k is True; it must be a text or a number"),
        ("[ask]\nk = 'many'", "[ask]: k is 'many'"),
        ("[ask]\nk = 0", "[ask]: k is 0"),
        ("[ask]\nk = 1.5", "[ask]: k is 1.5"),
        ("[ask]\nk = [1]", "[ask]: k is [1]"),
        ("[ask]\nprune = 'no'", "[ask]: prune is 'no'; it must be true or false"),
        ("[ask]\nfinder = 'magic'", "[ask]: finder is 'magic'"),
        ("[ask]\ndocs = [true]", "[ask]: docs is [True]; it must be a text, a number or a list of them"),
        ("[ask]\nwhere = 2024-01-01", "[ask]: where is "),
        ("[train]\nepochs = 'x'", "[train]: epochs is 'x'"),
    ],
)
def test_wrong_settings_get_one_sentence(r2ag: Command, tiny: Tiny, settings: Path, text: str, words: str) -> None:
    settings.write_text(text)
    sentence = r2ag.refused(*tiny.ask())
    assert words in sentence
    assert str(settings) in sentence
    assert sentence.count("\n") == 0


def test_a_file_that_is_no_text_or_not_there(r2ag: Command, tiny: Tiny, settings: Path) -> None:
    assert str(settings) in r2ag.refused(*tiny.ask())
    settings.write_bytes(b"\xff\xfe")
    assert str(settings) in r2ag.refused(*tiny.ask())


def test_no_file_in_the_working_folder_is_read(
    r2ag: Command, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("r2ag.toml", "settings.toml", ".r2ag.toml"):
        (tmp_path / name).write_text("broken [")
    assert asked_with(r2ag, tiny) == 5


def test_the_users_own_file_and_info_names_it(r2ag: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("R2AG_SETTINGS")
    monkeypatch.setattr("typer.get_app_dir", lambda name: str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    assert f"none; they would be in {tmp_path / 'settings.toml'}" in r2ag("info").out
    (tmp_path / "settings.toml").write_text("[ask]\nk = 3\n")
    assert f"settings {tmp_path / 'settings.toml'}" in " ".join(r2ag("info").out.split())
    (tmp_path / "settings.toml").write_text("[ask]\nk = 0\n")
    assert "k is 0" in r2ag.refused("info")


def test_the_usual_place() -> None:
    assert usual_file().name == "settings.toml"
    assert usual_file().parent.name.lower() == "r2ag"
    assert usual_file().is_absolute()


def test_no_two_options_have_one_variable() -> None:
    context = typer.Context(typer.main.get_command(app))
    use_settings(context)
    variables = [option.envvar for _, command in _commands(context.command) for option in _options(command).values()]
    assert len(variables) == len(set(variables)) > 100
    assert {"R2AG_ASK_MAX_NEW_TOKENS", "R2AG_ASK_JSON", "R2AG_TRAIN_ENCODER_DATA"} <= set(variables)
