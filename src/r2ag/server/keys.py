"""API keys: who may read (ask, rerank, embed, list) and who may also write (add and delete documents)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from r2ag.errors import InputError

READ_VARIABLE, WRITE_VARIABLE = "R2AG_READ_KEYS", "R2AG_WRITE_KEYS"
LEAST_CHARACTERS = 16
_FORM = "each line is `read KEY` or `write KEY`"


@dataclass(frozen=True)
class Keys:
    """SHA-256 digests of the keys. Without keys, everybody may read and write."""

    read: frozenset[bytes] = frozenset()
    write: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.read or self.write)

    def may_read(self, key: str) -> bool:
        """Whether a key allows reading; a key for writing does, too."""
        return not self or _is_among(key, self.read | self.write)

    def may_write(self, key: str) -> bool:
        """Whether a key allows writing."""
        return not self or _is_among(key, self.write)


def load_keys(file: Path | None, environment: Mapping[str, str]) -> Keys:
    """Reads the keys of a file and of the variables R2AG_READ_KEYS and R2AG_WRITE_KEYS (separated by commas).

    Raises:
        InputError: the file can't be read, or a key is too short to be one.
    """
    keys = [
        (right, key.strip(), f"in {variable}")
        for right, variable in (("read", READ_VARIABLE), ("write", WRITE_VARIABLE))
        for key in environment.get(variable, "").split(",")
        if key.strip()
    ]
    if file is not None:
        keys += _of_file(file)
    for _, key, where in keys:
        _check(key, where)
    return Keys(*(frozenset(_digest(key) for own, key, _ in keys if own == right) for right in ("read", "write")))


def _of_file(file: Path) -> list[tuple[str, str, str]]:
    """Each key's right, the key, and its place for error messages."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"The keys in {file} can't be read ({reason}); {_FORM}.") from None
    keys: list[tuple[str, str, str]] = []
    for number, line in enumerate(lines, start=1):
        match line.split():
            case [("read" | "write") as right, key]:
                keys.append((right, key, f"at {file}, line {number},"))
            case [first, *_] if not first.startswith("#"):
                raise InputError(f"{file}, line {number}, is no key; {_FORM}.")
    if not keys:
        raise InputError(f"{file} holds no key; {_FORM}.")
    return keys


def _check(key: str, where: str) -> None:
    if len(key) < LEAST_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise InputError(f"The key {where} is too easily guessed; use at least {LEAST_CHARACTERS} ASCII characters.")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _is_among(key: str, digests: frozenset[bytes]) -> bool:
    """Takes the same time whether and whichever key matches."""
    digest = _digest(key)
    return any([hmac.compare_digest(digest, known) for known in digests])  # noqa: C419 - all of them are compared
