"""What is checked before a command's work starts: packages, and places to read and write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from r2ag.errors import InputError

_MEASURED = ("ir_measures", "jieba", "rouge_score", "sklearn")
# What people call the work, the extra of the package that it needs, and modules that the extra brings.
_NEEDS = {
    "train": ("Training", "train", ("accelerate", "datasets", "ir_measures")),
    "eval": ("Evaluation", "eval", _MEASURED),
    "study": ("A study", "eval", (*_MEASURED, "matplotlib")),
    "ranking": ("Measuring a ranking", "eval", ("ir_measures",)),
    "serve": ("The server", "serve", ("fastapi_offline", "prometheus_client", "python_multipart", "uvicorn")),
    "mcp": ("The MCP server", "mcp", ("mcp",)),
}


def need(work: str) -> None:
    """Raises InputError where packages are missing that this kind of work needs; names the extra to install."""
    what, extra, modules = _NEEDS[work]
    missing = [module.replace("_", "-") for module in modules if find_spec(module) is None]
    if missing:
        raise InputError(f"{what} needs {' and '.join(missing)}; install with: pip install 'r2ag[{extra}]'")


def check_output(folder: Path, marker: str) -> Path:
    """The absolute path of a folder that a command writes; what is there is replaced as a whole.

    Args:
        marker: a file that an existing folder must hold, so that a user's other folders are not replaced.

    Raises:
        InputError: it is a file, holds other things, can't be written, or is in the home of an unknown user.
    """
    try:
        target = folder.expanduser().absolute()
    except RuntimeError:
        raise InputError(f"{folder} names the home of a user that is not known; write the folder out.") from None
    target = target.parent.resolve() / target.name if target.name not in ("", "..") else target.resolve()
    if target.is_dir():
        if any(target.iterdir()) and not (target / marker).is_file():
            raise InputError(f"The folder {folder} holds other files, which --output would replace; name a new folder.")
    elif target.exists():
        raise InputError(f"{folder} is a file; name a new folder for --output.")
    check_place(target.parent, "--output")
    return target


def check_folder(folder: Path, option: str = "--output") -> None:
    """Raises InputError where results can't be put beside those that the folder may hold."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for {option}.")
    check_place(folder.absolute(), option)


def check_files(files: Iterable[Path], options: str) -> None:
    """Raises InputError where a file is not there, before any model is loaded; `options` name the files."""
    for file in files:
        if not file.is_file():
            raise InputError(f"There is no file {file}; check {options}.")


def check_place(target: Path, option: str) -> None:
    """Raises InputError where nothing can be written to a folder, which may not exist yet.

    It makes a temporary folder there, since permissions alone don't tell.
    """
    ancestor = next(parent for parent in (target, *target.parents) if parent.exists())
    try:
        TemporaryDirectory(prefix=".r2ag-", dir=ancestor).cleanup()
    except OSError:
        raise InputError(f"Nothing can be written to {ancestor}; name another folder for {option}.") from None


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Raises InputError where the block can't write the file that --output names."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{file} can't be written ({error.strerror}); name another file for --output.") from None
