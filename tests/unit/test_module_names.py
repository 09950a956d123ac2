"""pytest names a module of the tests by its file's name alone, also what tests share: two of one name stop the run of
all, or one is taken for the other, and no run of a part shows it."""

from collections import Counter
from pathlib import Path

#: One a folder, and pytest knows them apart.
_OF_FOLDERS = frozenset({"conftest.py", "__init__.py"})


def test_no_two_modules_have_one_name():
    names = Counter(path.name for path in Path(__file__).parents[1].rglob("*.py") if path.name not in _OF_FOLDERS)
    assert [name for name, times in names.items() if times > 1] == []
