"""Defaults of options: from environment variables and from the user's settings file.

The command line overrides the variable R2AG_<COMMAND>_<OPTION> (R2AG_ASK_K, R2AG_DATA_MINE_COUNT), and that overrides
the file, whose tables are commands and whose keys are long option names:

    [ask]
    store = "~/notes-store"
    k = 8

    [data.mine]
    count = 20

There is one file, the user's own. A file in the working folder would be unsafe: somebody who gives you a folder could
choose the model, the adapter or the server that reads your questions.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from r2ag.errors import InputError

VARIABLE = "R2AG_SETTINGS"
_TABLES = "options in tables named after commands, as in [ask]"


def settings_file() -> Path | None:
    """The file that $R2AG_SETTINGS names (no file if that is empty), else the user's; None if there is none.

    Raises:
        InputError: $R2AG_SETTINGS names no file.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        return usual_file() if usual_file().is_file() else None
    if not named:
        return None
    file = Path(named).expanduser()
    if not file.is_file():
        raise InputError(f"{VARIABLE} is {named}, and there is no such file; correct it, or leave it empty for none.")
    return file


def usual_file() -> Path:
    """Where the settings are looked for: ~/.config/r2ag on Linux, the system's folder for such files elsewhere."""
    return Path(typer.get_app_dir("r2ag")) / "settings.toml"


def use_settings(context: typer.Context) -> None:
    """Gives every command its environment variables, and the defaults that the file sets.

    Raises:
        InputError: the file can't be read, names no command or option, or has a value of the wrong kind.
    """
    for path, command in _commands(context.command):
        for key, option in _options(command).items():
            option.envvar = "_".join(["R2AG", *path, key]).replace("-", "_").upper()
            option.show_envvar = False  # it would fill the help with thirty lines that say the same
    file = settings_file()
    if file is not None:
        context.default_map = _read_group(_toml(file), context.command, str(file), ())


def said_of(command: str) -> dict[str, object]:
    """The options of a command that environment variables and the file set, in their own words.

    Raises:
        InputError: the file can't be read.
    """
    file = settings_file()
    table = {} if file is None else _toml(file).get(command, {})
    prefix = f"R2AG_{command.replace('-', '_').upper()}_"
    return table | {name: value for name, value in sorted(os.environ.items()) if name.startswith(prefix)}


def is_typed(context: typer.Context, option: str) -> bool:
    """Whether an option, by the name of its parameter, stands on the command line."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _options(command: Any) -> dict[str, Any]:
    """A command's options by their long names."""
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    return {option.opts[0].removeprefix("--"): option for option in options}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"The settings in {file} can't be read ({reason}); correct or remove the file.") from None


def _read_group(tables: Mapping[str, Any], group: Any, file: str, path: tuple[str, ...]) -> dict[str, Any]:
    """A group's tables as click's default map, by the parameters' names."""
    read = {}
    for name, table in tables.items():
        command = group.commands.get(name)
        where = ".".join([*path, name])
        if not isinstance(table, dict):
            raise InputError(f"{file} has {where} outside of a command's table; it holds {_TABLES}.")
        if command is None:
            raise InputError(f"{file} has a table [{where}], and r2ag no such command; it holds {_TABLES}.")
        if hasattr(command, "commands"):
            read[name] = _read_group(table, command, file, (*path, name))
        else:
            read[name] = _read_command(table, command, f"{file}, [{where}]")
    return read


def _read_command(table: Mapping[str, Any], command: Any, where: str) -> dict[str, Any]:
    options = _options(command)
    context = typer.Context(command)
    read = {}
    for key, value in table.items():
        if key not in options:
            raise InputError(f"{where} has {key}, which is no option of that command; its --help lists them.")
        option = options[key]
        given = _as_typed(option, value, f"{where}: {key}")
        try:
            option.process_value(context, given)
        except typer.BadParameter as error:
            raise InputError(f"{where}: {key} is {value!r}: {error.message.removesuffix('.')}.") from None
        read[option.name] = given
    return read


def _as_typed(option: Any, value: Any, where: str) -> bool | str | list[str]:
    """A value as the command line would give it."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise InputError(f"{where} is {value!r}; it must be true or false.")
        return value
    values = value if option.multiple and isinstance(value, list) else [value]
    if not all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in values):
        kind = "a text, a number or a list of them" if option.multiple else "a text or a number"
        raise InputError(f"{where} is {value!r}; it must be {kind}.")
    texts = [_expanded(str(one)) for one in values]
    return texts if option.multiple else texts[0]


def _expanded(text: str) -> str:
    """Expands ~, as the shell does on the command line."""
    return str(Path(text).expanduser()) if text.startswith("~/") else text
