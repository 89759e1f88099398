"""What commands read and write: checked before the work starts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from r2ag.errors import InputError


def check_output(folder: Path, marker: str) -> Path:
    """The absolute path of a folder that may be written, since what stands there would be replaced whole.

    Args:
        marker: the file that tells such a folder from a user's other folders; an existing folder must hold it.

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
    """Raises InputError where nothing can be written to a folder that is there, or may have to be made.

    Whether folders can be made there is known for sure only once one was: permissions tell half of it.
    """
    ancestor = next(parent for parent in (target, *target.parents) if parent.exists())
    try:
        TemporaryDirectory(prefix=".r2ag-", dir=ancestor).cleanup()
    except OSError:
        raise InputError(f"Nothing can be written to {ancestor}; name another folder for {option}.") from None
