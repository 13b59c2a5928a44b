"""Messages of the other rooms, which name options of the command line, in the words of Python."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

from sparselrp_cli.errors import SparselrpError

_WITH_VALUE = re.compile(r"--(device|dtype|layout|redistribute|null) (\w+)")
_OPTION = re.compile(r"--([a-z][a-z-]*)")
_FLAGS = MappingProxyType({"--resume": "resume=True", "--restart": "resume=False"})
_WEIGHTS = re.compile(r"(?<=\s)-w(?: FILE)?(?=[\s,;]|$)")


@contextmanager
def in_python_words() -> Iterator[None]:
    """Let messages of errors name keywords, ``window=``, in the place of options, ``--window``."""
    try:
        yield
    except SparselrpError as error:
        error.args = (as_keywords(str(error)), *error.args[1:])
        raise


def as_keywords(text: str) -> str:
    """Write the options in a message as keywords."""
    for flag, keyword in _FLAGS.items():
        text = re.sub(rf"{flag}\b", keyword, text)
    valued = _WITH_VALUE.sub(lambda found: f"{_keyword(found[1])}'{found[2]}'", text)
    return _WEIGHTS.sub("weights=", _OPTION.sub(lambda found: _keyword(found[1]), valued))


def _keyword(option: str) -> str:
    return option.replace("-", "_") + "="
