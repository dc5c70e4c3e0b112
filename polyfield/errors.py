"""The one exception for a user's mistake: one line, and exit code 2 on the command line."""


class InputError(ValueError):
    """Something a user gave can't be used.

    The message says what was expected, what came and how to mend it.
    """

    def __init__(self, expected: str, got: str, mend: str) -> None:
        super().__init__(f"expected {expected}; got {got}; {mend}")


class MissingBackend(InputError):
    """What was asked for needs an optional package or a device that isn't there."""


class WriteError(OSError):
    """The system couldn't write a file: a full disk, a folder that is read-only ...

    The message is one line that names the file; nothing half-written is left.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
