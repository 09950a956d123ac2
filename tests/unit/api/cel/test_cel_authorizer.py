"""What policies ask of the authorizer: whom, about what, narrowed by which selectors."""

from __future__ import annotations

from typing import Any

import pytest

from actors.api.cel.environment import CelError
from actors.api.cel.functions.authorizer import Answer, Authorizer
from actors.api.policies.environment import Scope
from actors.api.rbac import Attributes

PODS = "authorizer.group('').resource('pods').namespace('x')"


def ask(text: str) -> tuple[Any, list[tuple[Any, Attributes]]]:
    asked: list[tuple[Any, Attributes]] = []

    def decide(account: Any, attributes: Attributes) -> Answer:
        asked.append((account, attributes))
        return Answer(True, "because")

    program = Scope(has_params=False).compile(text)
    return program.evaluate({"authorizer": Authorizer(decide)}), asked


def test_what_is_asked() -> None:
    found, asked = ask(f"{PODS}.name('p').subresource('log').check('get').reason()")
    expected = Attributes(verb="get", resource="pods", namespace="x", name="p", subresource="log")
    assert (found, asked) == ("because", [(None, expected)])
    assert ask("authorizer.path('/healthz').check('get').allowed()")[1][0][1].path == "/healthz"
    assert ask("authorizer.serviceAccount('ns', 'sa').path('/x').check('get').allowed()")[1][0][0] == ("ns", "sa")


@pytest.mark.parametrize(
    ("selector", "fields"),
    [
        ("spec.nodeName=n1,status.phase!=Failed", (("spec.nodeName", "n1"),)),
        ("rubbish", ()),
    ],
)
def test_a_field_selector_narrows_as_far_as_it_can_be_read(selector: str, fields: tuple[Any, ...]) -> None:
    found, asked = ask(f"{PODS}.fieldSelector('{selector}').labelSelector('a=b').check('list').allowed()")
    assert found is True and asked[0][1].fields == fields


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("authorizer.path(' ').check('get').allowed()", "path must not be empty"),
        ("authorizer.group('').resource(' ').check('get').allowed()", "resource must not be empty"),
        ("authorizer.serviceAccount('ns', 'No_Name').path('/').check('get').allowed()", "service account name"),
        ("authorizer.serviceAccount('a.b', 'sa').path('/').check('get').allowed()", "service account namespace"),
    ],
)
def test_what_cannot_be_asked(text: str, why: str) -> None:
    with pytest.raises(CelError, match=why):
        ask(text)
