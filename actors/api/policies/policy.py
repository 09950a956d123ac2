"""Policies and their bindings as we read them."""

from __future__ import annotations

from actors.api.meta import LabelSelector, Lens, ObjectMeta

GROUP = "admissionregistration.k8s.io"
VALIDATING, VALIDATING_BINDINGS = f"validatingadmissionpolicies.{GROUP}", f"validatingadmissionpolicybindings.{GROUP}"
MUTATING, MUTATING_BINDINGS = f"mutatingadmissionpolicies.{GROUP}", f"mutatingadmissionpolicybindings.{GROUP}"


class Rule(Lens, frozen=True):
    """RuleWithOperations of webhooks; of policies NamedRuleWithOperations, which may give `resource_names`."""

    operations: tuple[str, ...] | None = None
    api_groups: tuple[str, ...] | None = None
    api_versions: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    scope: str | None = None
    resource_names: tuple[str, ...] | None = None


class MatchResources(Lens, frozen=True):
    resource_rules: tuple[Rule, ...] | None = None
    exclude_resource_rules: tuple[Rule, ...] | None = None
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    match_policy: str | None = None


class ParamKind(Lens, frozen=True):
    api_version: str = ""
    kind: str = ""

    def __str__(self) -> str:
        """As Go prints it."""
        return f"&ParamKind{{APIVersion:{self.api_version},Kind:{self.kind},}}"


class MatchCondition(Lens, frozen=True):
    name: str = ""
    expression: str = ""


class Variable(Lens, frozen=True):
    name: str = ""
    expression: str = ""


class Validation(Lens, frozen=True):
    expression: str = ""
    message: str | None = None
    message_expression: str | None = None
    reason: str | None = None


class AuditAnnotation(Lens, frozen=True):
    key: str = ""
    value_expression: str = ""


class Expression(Lens, frozen=True):
    expression: str = ""


class Mutation(Lens, frozen=True):
    patch_type: str = ""
    apply_configuration: Expression | None = None
    json_patch: Expression | None = None

    @property
    def expression(self) -> str:
        found = self.json_patch if self.patch_type == "JSONPatch" else self.apply_configuration
        return found.expression if found else ""


class PolicySpec(Lens, frozen=True):
    """Of both kinds: a validating one has no mutations, a mutating one neither validations nor annotations."""

    param_kind: ParamKind | None = None
    match_constraints: MatchResources | None = None
    match_conditions: tuple[MatchCondition, ...] | None = None
    variables: tuple[Variable, ...] | None = None
    validations: tuple[Validation, ...] | None = None
    audit_annotations: tuple[AuditAnnotation, ...] | None = None
    mutations: tuple[Mutation, ...] | None = None
    failure_policy: str | None = None
    reinvocation_policy: str | None = None


class Policy(Lens, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: PolicySpec = PolicySpec()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def ignores_failures(self) -> bool:
        return self.spec.failure_policy == "Ignore"


class ParamRef(Lens, frozen=True):
    name: str | None = None
    namespace: str | None = None
    selector: LabelSelector | None = None
    parameter_not_found_action: str | None = None


class BindingSpec(Lens, frozen=True):
    policy_name: str = ""
    param_ref: ParamRef | None = None
    match_resources: MatchResources | None = None
    validation_actions: tuple[str, ...] | None = None


class Binding(Lens, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: BindingSpec = BindingSpec()

    @property
    def name(self) -> str:
        return self.metadata.name
