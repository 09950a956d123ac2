"""The Common Expression Language as Kubernetes has it, on Google's CEL runtime (cel-expr-python).

Evaluation is bounded by the runtime: 10,000 iterations, 32 levels of nesting, regular expressions in linear time.
"""
