"""The one family of errors that Crossdock raises on purpose.

Each message names the file, field or id, the value found, and what to do about it; the command line
prints it as one line and exits with 2. A broken invariant of the ledger is not one of these: it is a
defect, and crashes.
"""


class CrossdockError(Exception):
    """Base of every error that a user can act on."""


class InputError(CrossdockError):
    """A file or an argument that cannot be used at all."""


class LogError(CrossdockError):
    """A recorded log that is missing, torn, damaged or of another format."""


class LakeError(CrossdockError):
    """A lake that is missing, locked, of another version or of another log."""


class PolicyError(CrossdockError):
    """A policy document that does not validate; the message names the line."""


class ModelError(CrossdockError):
    """An activated model that is absent, damaged or expects other inputs."""


class CheckpointError(CrossdockError):
    """A checkpoint that cannot be read; the caller falls back to an older one or to the log."""


class BrokerError(CrossdockError):
    """A cluster that cannot be reached, refuses an option, or has topics that would not do."""


class StoreError(CrossdockError):
    """A store of deliveries that is in use, of another version or of another lake, or a bad disk."""
