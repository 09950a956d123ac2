"""Helm 4's own code, behind one command: KUBECONFIG NAMESPACE VERB ARGUMENTS, these as JSON. Prints its answer as JSON.

Run by the Python of .venv-helm, where scripts/install-test-peers puts Helm's SDK.
"""

from __future__ import annotations

import json
import sys

import helm_python  # type: ignore[import-not-found]


def main(kubeconfig: str, namespace: str, verb: str, text: str) -> None:
    config = helm_python.Config(kubeconfig_path=kubeconfig, namespace=namespace)
    arguments = json.loads(text)
    given = arguments.pop("given", [])
    try:
        print(json.dumps({"answer": getattr(config, verb)(*given, **arguments)}))
    except helm_python.HelmError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
