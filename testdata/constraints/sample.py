#!/usr/bin/env python3
"""Draws the sentences that the constraint checker is judged on.

usage: sample.py <folder of folders with tools.json and meta.json> [round] > sentences[-round].tsv

Seeded, so the same lists give the same file. Takes servers under MIT, Apache-2.0, BSD or ISC only; from each of
60 (round 5: 57, round 6: 55, round 7: 50, round 8: 46, round 9: 45, round 10: the 15 that have enough left) of them a few sentences out of tool descriptions and descriptions inside input schemas;
no sentence is drawn twice, and no tool while its server has others. Every second one, after a shuffle, is held out:
nobody looks at those while writing the checker. A later round has its own seed and draws nothing that an earlier one
drew, not even with other digits or in other case. Rounds 5 to 10 leave out what the other reader labelled too, 6
to 10 also what the checker learned from; they are held out as a whole. Round 10 has also 40 sentences of each of the
four packages of `sentences-pool.tsv`, of which nothing else is read.
"""

import json
import random
import re
import sys
from pathlib import Path

# Of each round: the seed, how many servers, and how many sentences a server gives.
ROUNDS = [
    (20261120, 60, 4),
    (20261128, 60, 5),
    (20261129, 60, 4),
    (20261130, 60, 6),
    (20261201, 57, 14),
    (20261202, 55, 14),
    (20261203, 50, 14),
    (20261206, 46, 16),
    (20261207, 45, 16),
    (20261211, 15, 40),
]
# From this round on a round is held out as a whole.
HELD_OUT = 5
# From the round with this number on nothing is drawn that is in these files.
LEFT_OUT = {
    5: ["sentences-other.tsv"],
    6: [f"sentences-learn-{n}.tsv" for n in range(1, 5)],
    8: [f"sentences-learn-{n}.tsv" for n in range(5, 7)],
    10: [f"sentences-learn-{n}.tsv" for n in range(7, 10)] + ["sentences-pool.tsv"],
}
# From which file of packages a round takes sentences too, and how many of each package.
POOL = {10: ("sentences-pool.tsv", 40)}
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


def letters(sentence):
    return "".join(c for c in sentence.lower() if c.isalpha())


def read(root):
    """Of each server under a licence taken: its (tool, place, sentence), each sentence once."""
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


def draw(by_server, seed, servers, per_server, earlier):
    chance = random.Random(seed)
    left = {}
    for server, found in by_server.items():
        new = [row for row in found if letters(row[2]) not in earlier]
        if len(new) >= per_server:
            left[server] = new
    drawn, everything = [], set()
    for server in chance.sample(sorted(left), servers):
        found = left[server]
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


def from_pool(name, seed, per_package):
    """So many (package, "", file, sentence) of each package of a file."""
    chance, by_package = random.Random(seed), {}
    for row in Path(__file__).with_name(name).read_text().splitlines()[1:]:
        _, package, file, sentence = row.split("\t")
        by_package.setdefault(package, []).append((package, "", file, sentence))
    return [row for _, rows in sorted(by_package.items()) for row in chance.sample(rows, per_package)]


def main():
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    by_server, earlier = read(sys.argv[1]), set()
    for number, (seed, servers, per_server) in enumerate(ROUNDS[:wanted], 1):
        for name in LEFT_OUT.get(number, []):
            rows = Path(__file__).with_name(name).read_text().splitlines()[1:]
            earlier.update(letters(row.split("\t")[-1]) for row in rows)
        drawn = draw(by_server, seed, servers, per_server, earlier)
        if number in POOL:
            name, per_package = POOL[number]
            drawn += from_pool(name, seed, per_package)
            random.Random(seed).shuffle(drawn)
        earlier.update(letters(row[3]) for row in drawn)
    print("id\thalf\tserver\ttool\tplace\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"{n:03}", "dev" if n % 2 == 0 and wanted < HELD_OUT else "held-out", *row]))


if __name__ == "__main__":
    main()
