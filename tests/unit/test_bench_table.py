from benchmarks.table import render

DELETE = {"name": "network-delete", "value": 2.8, "unit": "ms", "peer": "ip commands", "peer_value": 19.5,
          "ratio": 0.14, "n": 200, "p50": 2.75, "p99": 4.0}  # fmt: skip
ADD = DELETE | {"name": "network-add", "value": 1234.5, "peer": None, "peer_value": None, "ratio": None}


def test_a_table_where_it_fits():
    assert list(render([DELETE, ADD], "network", 80)) == [
        "network",
        "name               value  peer                 ratio    n   p50  p99",
        "network-delete    2.8 ms  ip commands 19.5 ms   0.14  200  2.75    4",
        "network-add     1,234 ms                              200  2.75    4",
    ]


def test_columns_that_are_empty_are_left_out():
    assert list(render([{"name": "a", "value": 1}], "t", 80)) == ["t", "name  value", "a         1"]


def test_where_it_is_narrow_lines_break_between_figures():
    assert list(render([DELETE, ADD], "network", 40)) == [
        "network",
        "network-delete: 2.8 ms",
        "    peer ip commands 19.5 ms,",
        "    ratio 0.14, n 200, p50 2.75, p99 4",
        "network-add: 1,234 ms",
        "    n 200, p50 2.75, p99 4",
    ]


def test_no_line_is_wider_than_the_terminal():
    rows = [DELETE | {"name": "network-delete-of-many-pods", "peer": "the older kind of commands"}] * 2
    for width in range(46, 120):
        lines = list(render(rows, "network", width))
        assert max(map(len, lines)) <= width
        assert "network-delete-of-many-pods" in lines[-1] + lines[1] + lines[2]
