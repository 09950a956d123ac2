"""Admission policies in CEL (admissionregistration.k8s.io/v1; KEP-3488, KEP-3962): read, compiled, checked. Pure.

    policy.py       a policy and a binding as we read them       environment.py  what their expressions may name
    compiled.py     a policy, ready to be asked                  literals.py     Object.spec{...} and JSONPatch{...}
    check.py        what is refused when a policy is written     type_check.py   what its status warns of

Asked by actors/admission/policies.
"""
