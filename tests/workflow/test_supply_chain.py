"""What is installed is known: locked by its hash, under a licence that suits."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements-hashed.txt", "packaging/requirements-container.txt")


def pins(name: str) -> dict[str, str]:
    """The version of each package of a lock."""
    return dict(re.findall(r"^([\w.-]+)==([\w.!+]+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.fixture
def licences(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """packaging/licences.py, which finds lock.py beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    for name in ("lock", "licences"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import licences as found

    for name in ("lock", "licences"):
        monkeypatch.delitem(sys.modules, name)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_with_hashes_have_the_versions_of_the_tests(name):
    tested = pins("requirements-tests.txt")
    both = pins(name).keys() & tested.keys()
    assert len(both) > 40
    assert {each: pins(name)[each] for each in both} == {each: tested[each] for each in both}


def test_the_lock_of_the_tests_leaves_only_torch_without_a_hash():
    assert pins("requirements-tests.txt").keys() - pins("requirements-hashed.txt").keys() == {"torch"}


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_of_a_lock_has_a_hash(name):
    requirements = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    for requirement in requirements:
        assert requirement.startswith("#") or "--hash=sha256:" in requirement, requirement.splitlines()[0]
        assert not requirement.startswith(("torch==", "nvidia-"))


def test_nothing_that_everyone_gets_is_under_the_gpl(licences):
    core = licences.with_what_they_need(list(licences.PROJECT["dependencies"]))
    assert not core.keys() & licences.GPL.keys()


@pytest.mark.parametrize(
    ("name", "licence", "said"),
    [
        ("click", "BSD-3-Clause", ""),
        ("click", "BSD License; GNU General Public License (GPL); Public Domain", ""),
        ("igraph", "GNU General Public License (GPL)", ""),
        ("scikit-learn", "GPL-3.0-or-later", "scikit-learn: GPL-3.0-or-later: not for what everyone gets"),
        ("scikit-learn", "UNKNOWN", "scikit-learn: UNKNOWN: not known to suit"),
        ("click", "SSPL-1.0", "click: SSPL-1.0: not known to suit"),
    ],
)
def test_a_licence_that_does_not_suit_is_said(licences, name, licence, said):
    found = list(licences.wrong({name: "1"}, {name: licence}))
    assert len(found) == bool(said)
    assert all(line.startswith(said) for line in found)
