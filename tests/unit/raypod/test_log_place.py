from hypothesis import given
from hypothesis import strategies as st

from raypod.logs import _Place


def read(place, lines, since):
    """What a stream that begins at `since` tells and the place lets pass."""
    place.rewind()
    return [text for stamp, text in lines if stamp >= since and place.is_new(stamp)]


@given(st.lists(st.integers(0, 4), max_size=12).map(sorted), st.lists(st.integers(0, 12), max_size=4))
def test_however_often_the_stream_breaks_each_line_comes_once(stamps, breaks):
    lines = [(str(stamp), position) for position, stamp in enumerate(stamps)]
    place, seen = _Place(), []
    for cut in sorted(breaks):
        seen += read(place, lines[:cut], place.since)
    seen += read(place, lines, place.since)
    assert seen == list(range(len(lines)))
