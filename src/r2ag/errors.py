"""The one kind of error that a user is meant to read."""


class InputError(ValueError):
    """Something the user gave can't be used; the message is one plain sentence saying what, where and what to do."""
