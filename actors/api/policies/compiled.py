"""A policy whose expressions are compiled, ready to be asked."""

from __future__ import annotations

from typing import NamedTuple

from actors.api.cel.ast import Ident, Node
from actors.api.cel.environment import Program, children
from actors.api.policies.environment import Scope
from actors.api.policies.policy import Mutation, PolicySpec, Validation


class Compiled(NamedTuple):
    """Programs by what they are for, in order. `asks`: whether any of them names the authorizer."""

    conditions: tuple[tuple[str, Program], ...]
    variables: tuple[tuple[str, Program], ...]
    validations: tuple[tuple[Validation, Program, Program | None], ...]
    annotations: tuple[tuple[str, Program], ...]
    mutations: tuple[tuple[Mutation, Program], ...]
    asks: bool


def compile_policy(spec: PolicySpec) -> Compiled:
    """Raises CelError: which a policy that was accepted does not."""
    scope = Scope(spec.param_kind is not None, patches=bool(spec.mutations))
    conditions = tuple((known.name, scope.compile(known.expression)) for known in spec.match_conditions or ())
    variables = tuple((known.name, scope.declare(known.name, known.expression)) for known in spec.variables or ())
    validations = tuple(
        (
            known,
            scope.compile(known.expression),
            scope.compile(known.message_expression, authorizer=False) if known.message_expression else None,
        )
        for known in spec.validations or ()
    )
    annotations = tuple(
        (known.key, scope.compile(known.value_expression, authorizer=False)) for known in spec.audit_annotations or ()
    )
    mutations = tuple((known, scope.compile(known.expression)) for known in spec.mutations or ())
    programs = [program for _, program in (*conditions, *variables, *annotations)]
    programs += [program for _, program in mutations] + [program for _, program, _ in validations]
    asks = any(_names(program.tree.root, "authorizer") for program in programs)
    return Compiled(conditions, variables, validations, annotations, mutations, asks)


def _names(node: Node, variable: str) -> bool:
    if isinstance(node, Ident):
        return node.name.partition(".")[0] == variable
    return any(_names(child, variable) for child in children(node))
