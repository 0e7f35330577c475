#!/usr/bin/env python3
"""Draws sentences of a few servers with many tools, to learn from, and a pool for rounds to come.

usage: sample_more.py FOLDER > sentences-learn-9.tsv
       sample_more.py FOLDER pool > sentences-pool.tsv
       sample_more.py FOLDER rest > sentences-learn-11.tsv

FOLDER holds the archives of `pypi-3.tsv` (`pip download --no-deps --only-binary=:all: --python-version 3.13
NAME==VERSION`) and `npm-3.tsv` (`npm pack NAME@VERSION`); nothing is run. Takes from Python what `sample_pypi.py`
takes, strings in `Annotated[…]` and the value of a key `description`; from JavaScript what `sample_packages.py` takes,
the key in quotes too. Cuts it into sentences as `sample.py` does, leaves out what is not mostly Latin letters, and
draws up to 400 of each package, seeded. Nothing that another file of sentences has. A few packages, drawn first, are
the pool: nothing is learned from a sentence that one of them has, drawn or not. `rest` draws up to 1,500 more of each
package that is not in the pool.
"""

import ast
import inspect
import random
import re
import sys
import tarfile
from pathlib import Path

from sample import letters, sentences
from sample_packages import PART, plain
from sample_pypi import sources
from sample_pypi import texts as given

SEED, PER_PACKAGE, LEAST, POOL = 20261210, 400, 15, 4
REST_SEED, REST_PER_PACKAGE = 20261213, 1500
# What was drawn after this set, and the files made, which are never left out of themselves.
LATER = {f"sentences{name}.tsv" for name in ("-learn-9", "-learn-10", "-learn-11", "-pool", "-10")}
HERE = Path(__file__).parent
TEXT = re.compile(rf"(?:\bdescription[\"']?:\s*|\.describe\(\s*)({PART}(?:\s*\+\s*{PART})*)")


def string(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def from_python(source):
    yield from given(source)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        parts = []
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).split(".")[-1] == "Annotated":
            parts = node.slice.elts[1:] if isinstance(node.slice, ast.Tuple) else []
        elif isinstance(node, ast.Dict):
            parts = [value for key, value in zip(node.keys, node.values) if string(key) == "description"]
        yield from (inspect.cleandoc(string(part)) for part in parts if string(part))


def from_javascript(path):
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            if member.name.endswith((".js", ".mjs", ".cjs")) and "node_modules" not in member.name and member.isfile():
                text = archive.extractfile(member).read().decode(errors="replace")
                yield from ((member.name, plain(literal)) for literal in TEXT.findall(text))


def is_english(sentence):
    """Whether it is mostly letters, and those Latin ones."""
    latin = sum(c.isascii() and c.isalpha() for c in sentence)
    return 2 * latin >= len(sentence.replace(" ", "")) and 10 * latin >= 9 * len(letters(sentence))


def found_in(path):
    """(sentence, file) of an archive, each once."""
    if path.suffix == ".tgz":
        found = from_javascript(path)
    else:
        found = ((file, text) for file, source in sources(path) for text in from_python(source))
    seen = {}
    for file, text in found:
        for sentence in filter(is_english, sentences(text)):
            seen.setdefault(letters(sentence), (sentence, file))
    return sorted(seen.values())


def draw(chance, packages, earlier, per_package=PER_PACKAGE):
    """Up to so many of each, shuffled; adds to `earlier` what the packages have."""
    drawn = []
    for name, found in packages:
        new = [row for row in found if letters(row[0]) not in earlier]
        chance.shuffle(new)
        drawn += [(name, file, sentence) for sentence, file in new[:per_package]]
        earlier.update(letters(sentence) for sentence, _ in found)
    chance.shuffle(drawn)
    return drawn


def rest(packages, pool):
    """What is left of the packages that are not in the pool, without what the pool has."""
    earlier = {letters(sentence) for name, found in packages if name in pool for sentence, _ in found}
    for other in sorted(HERE.glob("sentences*.tsv")):
        if other.name != "sentences-learn-11.tsv":
            earlier.update(letters(row.split("\t")[-1]) for row in other.read_text().splitlines()[1:])
    others = [package for package in packages if package[0] not in pool]
    return draw(random.Random(REST_SEED), others, earlier, REST_PER_PACKAGE)


def main():
    chance, earlier, packages = random.Random(SEED), set(), []
    for other in sorted(HERE.glob("sentences*.tsv")):
        if other.name not in LATER:
            earlier.update(letters(row.split("\t")[-1]) for row in other.read_text().splitlines()[1:])
    for table in ("pypi-3.tsv", "npm-3.tsv"):
        for line in (HERE / table).read_text().splitlines()[1:]:
            name, _, archive = line.split("\t")[:3]
            found = found_in(Path(sys.argv[1]) / archive)
            if sum(letters(sentence) not in earlier for sentence, _ in found) >= LEAST:
                packages.append((name, found))
    pool = set(chance.sample([name for name, _ in packages], POOL))
    kept = draw(chance, [package for package in packages if package[0] in pool], earlier)
    drawn = draw(chance, [package for package in packages if package[0] not in pool], earlier)
    wanted, prefix, digits = (kept, "k", 4) if sys.argv[2:] == ["pool"] else (drawn, "", 5)
    if sys.argv[2:] == ["rest"]:
        wanted, prefix = rest(packages, pool), "y"
    print("id\tpackage\tfile\tsentence")
    for n, row in enumerate(wanted, 1):
        print("\t".join([f"{prefix}{n:0{digits}}", *row]))


if __name__ == "__main__":
    main()
