"""The errors that a user is meant to read."""


class InputError(ValueError):
    """Something the user gave can't be used; the message is one plain sentence saying what, where and what to do."""


class EngineError(InputError):
    """The server that generates can't be reached, refuses, ends in the middle of an answer, or takes too long."""

    def __init__(self, message: str, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
