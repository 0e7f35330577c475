#!/usr/bin/env python3
"""Draws sentences of servers that no judging round has, to learn from.

usage: sample_packages.py FOLDER ROUND > sentences-learn-ROUND.tsv

FOLDER holds one folder for each npm package of `ROUNDS`, unpacked (`npm pack NAME@VERSION`, `tar xzf`); nothing is
run. Takes what stands behind `description:` or in `.describe(…)` in their JavaScript, cuts it into sentences as
`sample.py` does, and draws some of each package of the round, seeded. Nothing that a judging or an earlier round drew.
"""

import random
import re
import sys
from pathlib import Path

from sample import letters, sentences

# Name as in the registry, version; all under MIT, Apache-2.0 or ISC.
FIRST = [
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
SECOND = [
    ("@baruchiro/paperless-mcp", "2.2.1"),
    ("@casys/mcp-erpnext", "3.0.4"),
    ("@contextstream/mcp-server", "0.4.43"),
    ("@danielsogl/lighthouse-mcp", "1.3.0"),
    ("european-parliament-mcp-server", "1.1.26"),
    ("@google-cloud/observability-mcp", "0.2.3"),
    ("@houtini/lm", "3.2.4"),
    ("mcp-memory-keeper", "0.14.1"),
    ("@nexus2520/bitbucket-mcp-server", "3.0.0"),
    ("@salesforce/mcp-provider-devops", "0.3.8"),
    ("ssh-mcp", "2.11.0"),
    ("tradingview-mcp-server", "0.7.1"),
    ("@doist/todoist-mcp", "11.0.0"),
    ("@j0hanz/filesystem-mcp", "2.5.0"),
    ("@smartbear/mcp", "0.41.0"),
    ("@quadslab.io/discord-mcp", "2.1.1"),
    ("comfyui-mcp", "0.52.203"),
]
THIRD = [
    ("@aicoin/opendata-mcp", "2.1.0"),
    ("@brightdata/mcp", "2.11.3"),
    ("bunqueue", "2.9.5"),
    ("@chkp/quantum-management-mcp", "1.4.10"),
    ("chrome-devtools-mcp", "1.11.0"),
    ("@elastic/mcp-server-elasticsearch", "0.3.1"),
    ("@hubspot/mcp-server", "0.4.0"),
    ("@intelligentelectron/pcb-lens", "1.2.0"),
    ("@mcp-consultant-tools/powerplatform", "34.0.0"),
    ("tavily-mcp", "0.2.22"),
    ("mcp-arr-server", "1.7.3"),
    ("obsidian-mcp", "1.0.6"),
    ("next-devtools-mcp", "0.4.0"),
    ("@nexus2520/bitbucket-mcp-server", "3.0.0"),
]
# Of each round: the seed, how many sentences a package gives, and the packages.
ROUNDS = [(20261128, 42, FIRST), (20261202, 40, SECOND), (20261203, 40, THIRD)]
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


def draw(root, seed, per_package, packages, earlier):
    """One round; adds what it drew to `earlier`, the letters that no round may draw again."""
    chance, drawn = random.Random(seed), []
    for name, version in packages:
        found = found_in(root / f"{name.lstrip('@').replace('/', '-')}-{version}")
        chance.shuffle(found)
        n_of_package = 0
        for sentence, path in found:
            if letters(sentence) in earlier or n_of_package == per_package:
                continue
            earlier.add(letters(sentence))
            drawn.append((name, path, sentence))
            n_of_package += 1
    chance.shuffle(drawn)
    return drawn


def main():
    here = Path(__file__).parent
    earlier = {
        letters(row.split("\t")[5])
        for name in ("sentences", "sentences-2", "sentences-3", "sentences-4", "sentences-other")
        for row in (here / f"{name}.tsv").read_text().splitlines()[1:]
    }
    wanted = int(sys.argv[2])
    for seed, per_package, packages in ROUNDS[:wanted]:
        drawn = draw(Path(sys.argv[1]), seed, per_package, packages, earlier)
    prefix = "pqrs"[wanted - 1]
    print("id\tpackage\tfile\tsentence")
    for n, row in enumerate(drawn):
        # Texts of a bundled audit tool are no descriptions; the ids stay.
        if "third_party" not in row[1]:
            print("\t".join([f"{prefix}{n:03}", *row]))


if __name__ == "__main__":
    main()
