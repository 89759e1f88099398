"""What every loader needs: silent libraries, and one plain sentence when a model can't be loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from r2ag.errors import InputError


@contextmanager
def loading(kind: str, name: str, source: str) -> Iterator[None]:
    """Silences the libraries while a model is loaded, and turns what goes wrong into an InputError.

    Args:
        kind: what the model is for, such as "LLM".
        name: what the user called it.
        source: the folder or hub name that it is loaded from.
    """
    import torch
    from safetensors import SafetensorError

    _refuse_missing_folder(kind, source)
    described = f"{kind} {name}" if source == name else f"{kind} {name} (from {source})"
    try:
        with _quiet():
            yield
    except InputError:
        raise
    except (SafetensorError, json.JSONDecodeError, EOFError) as error:
        raise InputError(
            f"The files of the {described} are damaged or incomplete; fetch them again. ({_first_line(error)})"
        ) from error
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"The GPU has too little free memory for the {described}; choose another device, such as the CPU, a dtype "
            f"of fewer bits, or a smaller model. ({_first_line(error)})"
        ) from error
    # Configurations and weights that don't fit each other fail in any of these ways.
    except (OSError, ValueError, ImportError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        raise InputError(
            f"The {described} could not be loaded; give a folder or a hub name. ({_first_line(error)})"
        ) from error


def _refuse_missing_folder(kind: str, source: str) -> None:
    """What can only be a path is not looked for on the hub, where a lookup without a network takes half a minute."""
    only_a_path = not source or source[0] in "./~" or source.count("/") > 1 or "\\" in source
    if only_a_path and not (source and Path(source).is_dir()):
        raise InputError(f"There is no folder {source!r} to load the {kind} from; give a folder or a hub name.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences load reports and weight-loading bars; the bars of downloads from the hub stay, for they take minutes."""
    from huggingface_hub.utils import logging as hub_logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging

    level, hub_level = logging.get_verbosity(), hub_logging.get_verbosity()
    bars, downloads_hidden = logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    logging.disable_progress_bar()  # hides the hub's bars as well
    if not downloads_hidden:
        enable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if bars:
            logging.enable_progress_bar()
        if downloads_hidden:
            disable_progress_bars()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
