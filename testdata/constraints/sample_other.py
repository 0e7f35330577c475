#!/usr/bin/env python3
"""Draws the sentences that the constraint checker is judged on.

usage: sample.py <folder of folders with tools.json and meta.json> [round] > sentences.tsv

Seeded, so the same lists give the same file. Takes servers under MIT, Apache-2.0, BSD or ISC only; from each of
60 of them four sentences (round 2: from every one five) out of tool descriptions and descriptions inside input
schemas; no sentence is drawn twice, also not by a later round, and a tool twice only where a server has too few. Every second one, after a shuffle, is held out: nobody looks at those while writing the checker.
"""

import json
import random
import re
import sys
from pathlib import Path

# For each round: seed, servers (None: all there are), sentences of each server, prefix of the ids.
ROUNDS = [(20261120, 60, 4, ""), (20261128, None, 5, "b")]
LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "ISC")
# A line, or a part of it up to a full stop, question or exclamation mark that ends a sentence.
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'`(\[*])|\n+")


def texts(value, place, is_schema):
    """Yields (JSON Pointer, text) of every `description` that is a string."""
    if isinstance(value, dict):
        for key, below in value.items():
            here = f"{place}/{key.replace('~', '~0').replace('/', '~1')}"
            if key == "description" and isinstance(below, str):
                yield here, below
            elif is_schema or key == "inputSchema":
                yield from texts(below, here, True)
    elif isinstance(value, list):
        for n, below in enumerate(value):
            yield from texts(below, f"{place}/{n}", is_schema)


def sentences(text):
    for part in END.split(text):
        part = " ".join(part.split()).lstrip("-*•# ").strip()
        if len(part.split()) >= 4 and len(part) <= 400 and "\t" not in part:
            yield part


def pool(root):
    """Server name -> every sentence of it as (tool, place, sentence), in the order of the list."""
    by_server = {}
    for folder in sorted(Path(root).iterdir()):
        meta = json.loads((folder / "meta.json").read_text())
        if meta.get("license") not in LICENCES:
            continue
        found, seen = [], set()
        for line in (folder / "tools.json").read_text().splitlines():
            for tool in json.loads(line)["result"]["tools"] if line.strip() else []:
                for place, text in texts(tool, "", False):
                    for sentence in sentences(text):
                        if sentence not in seen:
                            seen.add(sentence)
                            found.append((tool["name"], place, sentence))
        by_server[folder.name] = found
    return by_server


def draw(by_server, seed, servers, per_server, everything):
    """One round; adds what it drew to `everything`, the sentences that no round may draw again."""
    chance = random.Random(seed)
    large_enough = sorted(server for server in by_server if len(by_server[server]) >= per_server)
    drawn = []
    for server in chance.sample(large_enough, servers or len(large_enough)):
        found = list(by_server[server])
        chance.shuffle(found)
        tools, n_of_server = set(), 0
        for only_new_tools in (True, False):
            for tool, place, sentence in found:
                if n_of_server == per_server:
                    break
                if sentence in everything or (only_new_tools and tool in tools):
                    continue
                tools.add(tool)
                everything.add(sentence)
                drawn.append((server, tool, place, sentence))
                n_of_server += 1
    chance.shuffle(drawn)
    return drawn


def main():
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    by_server, everything = pool(sys.argv[1]), set()
    for seed, servers, per_server, prefix in ROUNDS[:wanted]:
        drawn = draw(by_server, seed, servers, per_server, everything)
    print("id\thalf\tserver\ttool\tplace\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"{prefix}{n:03}", "dev" if n % 2 == 0 else "held-out", *row]))


main()
