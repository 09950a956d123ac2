import pytest

from raypod.errors import ClusterUnreachable
from raypod.kubeconfig import read_endpoint

NAMES = "contexts: [{name: a, context: {cluster: c, user: u}}]\ncurrent-context: a\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "a field is missing or of another type"),
        (b"\x00\xff", "kubeconfig"),
        (b"[]", "a field is missing or of another type"),
        (b"{}", "it has no `current-context`"),
        (b"current-context: b\ncontexts: []", "contexts has no 'b'"),
        (f"{NAMES}clusters: 3".encode(), "a field is missing or of another type"),
        (f"{NAMES}clusters: [{{name: c, cluster: {{server: 3}}}}]\nusers: []".encode(), "users has no 'u'"),
    ],
)
def test_what_is_no_kubeconfig_is_told_in_one_line_without_pythons_words(tmp_path, text, why):
    path = tmp_path / "kubeconfig"
    path.write_bytes(text)
    with pytest.raises(ClusterUnreachable) as refused:
        read_endpoint(path)
    told = str(refused.value)
    assert why in told
    assert [word for word in ("\n", "TypeError", "KeyError", "StopIteration", "NoneType") if word in told] == []
