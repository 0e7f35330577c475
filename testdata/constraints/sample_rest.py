#!/usr/bin/env python3
"""Draws what the rounds left over of their servers, to learn from.

usage: sample_rest.py <folder of folders with tools.json and meta.json> [10] > sentences-learn-7.tsv (-10.tsv)

Up to 150 (the second time 600) sentences of each server, seeded; none that another file of sentences has, not even with other digits or in
other case. So the checker learns from the servers that it is judged on, and never from the sentences.
"""

import random
import sys
from pathlib import Path

from sample import letters, read

# Of each set: the seed, how many of a server, the prefix of its ids, and what was drawn with it or later.
SETS = {
    "7": (20261208, 150, "v", ("-learn-7", "-learn-8", "-learn-9", "-learn-10", "-learn-11", "-pool", "-10")),
    "10": (20261212, 600, "x", ("-learn-10", "-learn-11")),
}
HERE = Path(__file__).parent


def main():
    seed, per_server, prefix, later = SETS[sys.argv[2] if len(sys.argv) > 2 else "7"]
    chance, drawn, earlier = random.Random(seed), [], set()
    for other in sorted(HERE.glob("sentences*.tsv")):
        if other.name.removeprefix("sentences").removesuffix(".tsv") not in later:
            earlier.update(letters(row.split("\t")[-1]) for row in other.read_text().splitlines()[1:])
    for server, found in sorted(read(sys.argv[1]).items()):
        chance.shuffle(found)
        n_of_server = 0
        for tool, place, sentence in found:
            if letters(sentence) not in earlier and n_of_server < per_server:
                earlier.add(letters(sentence))
                drawn.append((server, tool + place, sentence))
                n_of_server += 1
    chance.shuffle(drawn)
    print("id\tserver\tplace\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"{prefix}{n:04}", *row]))


if __name__ == "__main__":
    main()
