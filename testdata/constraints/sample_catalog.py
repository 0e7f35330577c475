#!/usr/bin/env python3
"""Draws the sentences of round 11 from the catalogue of a retrieval benchmark, which is not in this project.

usage: sample_catalog.py CATALOG.jsonl > places-11.tsv
       sample_catalog.py CATALOG.jsonl --sentences > FILE

CATALOG.jsonl is that of LiveMCPBench (icip-cas/LiveMCPBench at a928e57, 527 tools of 70 servers), one tool a line with
`server`, `name`, `description` and `inputSchema`. Its texts belong to the authors of the servers, so what is committed
is where a sentence stands and its hash; `--sentences` prints id and sentence.

Takes sentences as `sample.py` does, in Latin letters, that no other file of sentences has (not even with other digits
or in other case). Of each server with four or more of them up to five are held out, no tool twice while there are
others; all else is `dev`.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

from sample import letters, sentences, texts

SEED, LEAST, PER_SERVER = 20261213, 4, 5
HERE = Path(__file__).parent


def is_latin(sentence):
    found = [c for c in sentence if c.isalpha()]
    return sum(c.isascii() for c in found) >= 0.95 * len(found)


def read(catalog):
    """Of each server its (tool, place, sentence), each sentence once and none that is known."""
    known, by_server = set(), {}
    for other in sorted(HERE.glob("sentences*.tsv")):
        known.update(letters(row.split("\t")[-1]) for row in other.read_text().splitlines()[1:])
    for line in Path(catalog).read_text().splitlines():
        tool = json.loads(line)
        shown = {key: tool[key] for key in ("description", "inputSchema") if key in tool}
        for place, text in texts(shown, "", False):
            for sentence in sentences(text):
                if is_latin(sentence) and letters(sentence) not in known:
                    known.add(letters(sentence))
                    by_server.setdefault(tool["server"], []).append((tool["name"], place, sentence))
    return by_server


def draw(catalog):
    """(half, server, tool, place, sentence) of the round, in the order of its ids."""
    chance, drawn = random.Random(SEED), []
    for server, found in sorted(read(catalog).items()):
        chance.shuffle(found)
        held_out, tools = set(), set()
        for only_new_tools in (True, False):
            for n, (tool, _, _) in enumerate(found):
                is_new = n not in held_out and not (only_new_tools and tool in tools)
                if len(found) >= LEAST and len(held_out) < PER_SERVER and is_new:
                    held_out.add(n)
                    tools.add(tool)
        drawn += [("held-out" if n in held_out else "dev", server, *row) for n, row in enumerate(found)]
    chance.shuffle(drawn)
    return drawn


def main():
    if "--sentences" in sys.argv[2:]:
        print("id\tsentence")
    else:
        print("id\thalf\tserver\ttool\tplace\tsha256")
    for n, (half, server, tool, place, sentence) in enumerate(draw(sys.argv[1])):
        if "--sentences" in sys.argv[2:]:
            print(f"c{n:04}\t{sentence}")
        else:
            digest = hashlib.sha256(sentence.encode()).hexdigest()[:16]
            print(f"c{n:04}\t{half}\t{server}\t{tool}\t{place}\t{digest}")


if __name__ == "__main__":
    main()
