#!/usr/bin/env python3
"""Writes what is linked into mcp-whittle as a CycloneDX 1.6 document.

  sbom.py [--target x86_64-unknown-linux-musl] > mcp-whittle.cdx.json

Reads `cargo metadata --locked`; only crates of the normal dependency graph count. Needs Python 3.11 and cargo.
"""

import argparse
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def component(package, kind):
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    found = {"type": kind, "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
    if package.get("license"):
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="x86_64-unknown-linux-musl")
    target = parser.parse_args().target
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={target}"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    linked, waiting = {}, [root]
    while waiting:
        name = waiting.pop()
        if name in linked:
            continue
        normal = (d["pkg"] for d in nodes[name]["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"]))
        linked[name] = sorted(normal)
        waiting.extend(linked[name])
    reference = {name: component(packages[name], "library")["bom-ref"] for name in linked}
    order = sorted(linked, key=reference.get)
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(packages[root], "application")},
        "components": [component(packages[name], "library") for name in order if name != root],
        "dependencies": [{"ref": reference[name], "dependsOn": [reference[d] for d in linked[name]]} for name in order],
    }
    print(json.dumps(bom, indent=1))


if __name__ == "__main__":
    main()
