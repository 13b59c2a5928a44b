"""The errors a user can meet.

Every message is one line that says what is wrong, where, and what to do; the command line prints it as it is.
"""


class SparselrpError(Exception):
    """Root of all errors that the user, not the programmer, can mend."""


class InputError(SparselrpError):
    """A sequence or region file can't be read, or doesn't fit."""


class ModelError(SparselrpError):
    """A model can't be loaded or traced."""


class UnsupportedOperationError(ModelError):
    """The model uses an operation that has no propagation rule."""


class TargetError(SparselrpError):
    """The explained target doesn't exist in the model."""


class OutputError(SparselrpError):
    """A result can't be written, or an archive can't be read."""


class ConservationError(SparselrpError):
    """Relevance isn't conserved within the bound the user set."""


class CompositeError(SparselrpError):
    """A composite that can't be read, or doesn't suit the model."""


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGUSR1 came. Libraries that let an interruption through let this through, too."""
