"""pytest names a test module by its file's name alone: two of one name stop the run of all, and no run of a part shows it."""

from collections import Counter
from pathlib import Path


def test_no_two_test_modules_have_one_name():
    names = Counter(path.name for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []
