import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.quantity import format_bytes, format_millis, parse_bytes, parse_millis


@pytest.mark.parametrize(
    ("text", "millis"),
    [("100m", 100), ("1", 1000), ("0.5", 500), (".5", 500), ("1.0005", 1001), ("2e3", 2_000_000), ("1u", 1), (3, 3000)],
)
def test_millis(text, millis):
    assert parse_millis(text) == millis


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1Ki", 1024),
        ("1.5Gi", 3 << 29),
        ("1M", 10**6),
        ("100m", 1),
        ("0", 0),
        ("12E", 12 * 10**18),
        ("-1Ki", -1024),
        ("1e2", 100),
    ],
)
def test_bytes(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "x", "1KiB", "1 Gi", "--1", "1e", "0x10", "1.2.3", "١", "1e9999"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_bytes(text)


@given(st.integers(min_value=0, max_value=1 << 62))
def test_formatting_is_undone_by_parsing(number):
    assert parse_bytes(format_bytes(number)) == number
    assert parse_millis(format_millis(number)) == number
