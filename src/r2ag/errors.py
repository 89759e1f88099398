"""The errors that a user is meant to read."""


class InputError(ValueError):
    """Something the user gave can't be used; the message is one plain sentence saying what, where and what to do."""


class EngineError(InputError):
    """A server that is asked for text or vectors can't be reached, refuses, breaks off its answer, or is silent for too
    long (`timed_out`)."""

    def __init__(self, message: str, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
