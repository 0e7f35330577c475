"""Evaluates the mutating policies of a file for one pod, with a CEL evaluator that is not the API server's.

  policy.py POLICY.yaml POD.json   → {"policy": NAME, "patch": [...]} or {"policy": null}

The evaluator has no types of Kubernetes: `JSONPatch{op: …}` and `Object.spec…{name: …}` are read as maps with those members. What
the API server checks about types is therefore not checked here. Selectors are applied as far as labels of the pod decide.
"""

import json
import re
import sys

import celpy
import celpy.adapter
import yaml

TYPED = re.compile(r"(?:JSONPatch|Object(?:\.\w+)*)\{")
MEMBER = re.compile(r"(?<=[{,\s])([A-Za-z]\w*): ")


def as_maps(expression):
    """Typed constructors as maps; texts stay as they are."""
    parts = re.split(r"('(?:[^'\\]|\\.)*')", expression)
    return "".join(
        part if index % 2 else MEMBER.sub(r"'\1': ", TYPED.sub("{", part)) for index, part in enumerate(parts)
    )


def evaluate(expression, pod):
    environment = celpy.Environment()
    program = environment.program(environment.compile(as_maps(expression)))
    return program.evaluate({"object": celpy.json_to_cel(pod)})


def plain(value):
    """A value of CEL as Python's own; its booleans are numbers for Python."""
    if isinstance(value, celpy.celtypes.BoolType):
        return bool(value)
    if isinstance(value, dict):
        return {str(name): plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return int(value) if isinstance(value, int) else str(value)


def main():
    policies, pod = sys.argv[1:]
    with open(pod, encoding="utf-8") as file:
        pod = json.load(file)
    found = []
    for policy in yaml.safe_load_all(open(policies, encoding="utf-8")):
        if policy["kind"] != "MutatingAdmissionPolicy":
            continue
        spec = policy["spec"]
        labels = pod["metadata"].get("labels", {})
        if any(labels.get(k) != v for k, v in spec["matchConstraints"]["objectSelector"]["matchLabels"].items()):
            continue
        # The first that is false decides, as in the API server.
        if all(evaluate(condition["expression"], pod) for condition in spec["matchConditions"]):
            (mutation,) = spec["mutations"]
            patch = evaluate(mutation["jsonPatch"]["expression"], pod)
            patch = plain(patch)
            found.append({"policy": policy["metadata"]["name"], "patch": patch})
    assert len(found) <= 1, "two policies match one pod"
    print(json.dumps(found[0] if found else {"policy": None}))


main()
