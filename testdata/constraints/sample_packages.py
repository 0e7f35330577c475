#!/usr/bin/env python3
"""Draws sentences of servers that no judging round has, to learn from.

usage: sample_packages.py FOLDER > sentences-learn.tsv

FOLDER holds one folder for each npm package of `PACKAGES`, unpacked (`npm pack NAME@VERSION`, `tar xzf`); nothing is
run. Takes what stands behind `description:` or in `.describe(…)` in their JavaScript, cuts it into sentences as
`sample.py` does, and draws as many of each package as its list says, seeded. Nothing that a judging round drew.
"""

import random
import re
import sys
from pathlib import Path

from sample import letters, sentences

SEED = 20261128
PER_PACKAGE = 42
# Name as in the registry, version; all under MIT, Apache-2.0 or ISC.
PACKAGES = [
    ("tavily-mcp", "0.2.22"),
    ("argocd-mcp", "0.9.0"),
    ("@modelcontextprotocol/server-gitlab", "2025.4.25"),
    ("@modelcontextprotocol/server-slack", "2025.4.25"),
    ("@doist/todoist-mcp", "11.0.0"),
    ("@rollbar/mcp-server", "0.6.0"),
    ("@line/line-bot-mcp-server", "0.4.2"),
    ("mcp-arr-server", "1.7.3"),
    ("@j0hanz/filesystem-mcp", "2.5.0"),
    ("@smartbear/mcp", "0.41.0"),
    ("@n24q02m/better-godot-mcp", "1.24.4"),
    ("hyperbrowser-mcp", "1.0.25"),
    ("next-devtools-mcp", "0.4.0"),
    ("obsidian-mcp", "1.0.6"),
    ("@quadslab.io/discord-mcp", "2.1.1"),
    ("comfyui-mcp", "0.52.203"),
]
PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
TEXT = re.compile(rf"(?:\bdescription:\s*|\.describe\(\s*)({PART}(?:\s*\+\s*{PART})*)")
ESCAPES = {"n": "\n", "t": " ", "r": "\n"}


def plain(literal):
    """The text of string literals joined by `+`; escapes undone, what is computed left out."""
    text = "".join(part[1:-1] for part in re.findall(PART, literal))
    text = re.sub(r"\$\{[^}]*\}", "", text)
    text = re.sub(r"\\u\{?([0-9a-fA-F]{4,5})\}?", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text, flags=re.DOTALL)


def found_in(folder):
    """Each sentence of a package once, with the file it is in."""
    seen = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".js", ".mjs", ".cjs") or "node_modules" in path.relative_to(folder).parts:
            continue
        for literal in TEXT.findall(path.read_text(errors="replace")):
            for sentence in sentences(plain(literal)):
                seen.setdefault(sentence, path.relative_to(folder).as_posix())
    return sorted(seen.items())


def main():
    here = Path(__file__).parent
    earlier = {
        letters(row.split("\t")[5])
        for name in ("sentences", "sentences-2", "sentences-3", "sentences-4", "sentences-other")
        for row in (here / f"{name}.tsv").read_text().splitlines()[1:]
    }
    chance, drawn = random.Random(SEED), []
    for name, version in PACKAGES:
        folder = Path(sys.argv[1]) / f"{name.lstrip('@').replace('/', '-')}-{version}"
        found = found_in(folder)
        chance.shuffle(found)
        n_of_package = 0
        for sentence, path in found:
            if letters(sentence) in earlier or n_of_package == PER_PACKAGE:
                continue
            earlier.add(letters(sentence))
            drawn.append((name, path, sentence))
            n_of_package += 1
    chance.shuffle(drawn)
    print("id\tpackage\tfile\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"p{n:03}", *row]))


if __name__ == "__main__":
    main()
