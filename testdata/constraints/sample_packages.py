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
FOURTH = [
    ("@21st-dev/magic", "0.2.3"),
    ("@aashari/mcp-server-atlassian-bitbucket", "3.1.0"),
    ("@aashari/mcp-server-atlassian-jira", "3.3.0"),
    ("@amap/amap-maps-mcp-server", "0.0.8"),
    ("@apify/actors-mcp-server", "0.16.0"),
    ("@auth0/auth0-mcp-server", "0.1.0-beta.19"),
    ("@automattic/mcp-wordpress-remote", "0.4.0"),
    ("@baidumap/mcp-server-baidu-map", "1.0.5"),
    ("@bankless/onchain-mcp", "1.0.6"),
    ("@benborla29/mcp-server-mysql", "2.0.9"),
    ("@browserbasehq/mcp-server-browserbase", "2.4.3"),
    ("@browserstack/mcp-server", "1.4.2"),
    ("@chakra-ui/react-mcp", "2.1.1"),
    ("@chatmcp/server-perplexity-ask", "0.1.0"),
    ("@cloudflare/mcp-server-cloudflare", "0.2.0"),
    ("@coding-solo/godot-mcp", "0.1.1"),
    ("@cognitionai/metabase-mcp-server", "2.2.0"),
    ("@coingecko/coingecko-mcp", "8.2.0"),
    ("@composio/mcp", "1.0.9"),
    ("@currents/mcp", "2.1.1"),
    ("@cyanheads/git-mcp-server", "2.15.3"),
    ("@cyanheads/pubmed-mcp-server", "2.7.4"),
    ("@delorenj/mcp-server-trello", "1.8.1"),
    ("@digitalocean/mcp", "1.0.70"),
    ("@executeautomation/database-server", "1.1.0"),
    ("@gannonh/firebase-mcp", "1.4.9"),
    ("@gannonh/memento-mcp", "0.3.9"),
    ("@goat-sdk/adapter-model-context-protocol", "0.2.11"),
    ("@gongrzhe/server-travelplanner-mcp", "0.1.2"),
    ("@google-cloud/cloud-run-mcp", "1.10.0"),
    ("@google-cloud/gcloud-mcp", "0.5.3"),
    ("@google-cloud/storage-mcp", "0.6.0"),
    ("@google/clasp", "3.4.1"),
    ("@isaacphi/mcp-gdrive", "0.2.0"),
    ("@jpisnice/shadcn-ui-mcp-server", "2.0.0"),
    ("@kazuph/mcp-taskmanager", "1.1.1"),
    ("@kimtaeyoon83/mcp-server-youtube-transcript", "0.1.1"),
    ("@knip/mcp", "0.0.36"),
    ("@langchain/mcp-adapters", "1.1.4"),
    ("@larksuiteoapi/lark-mcp", "0.5.1"),
    ("@leonardsellem/n8n-mcp-server", "0.1.8"),
    ("@magicuidesign/mcp", "2.0.0"),
    ("@makehq/mcp-server", "0.5.0"),
    ("@mapbox/mcp-server", "0.14.0"),
    ("@mastra/mcp-docs-server", "1.2.27"),
    ("@mem0/mcp-server", "0.0.1"),
    ("@microsoft/clarity-mcp-server", "2.0.1"),
    ("@modelcontextprotocol/server-aws-kb-retrieval", "0.6.2"),
    ("@modelcontextprotocol/server-everart", "0.6.2"),
    ("@modelcontextprotocol/server-gdrive", "2025.1.14"),
    ("@modelcontextprotocol/server-postgres", "0.6.2"),
    ("@mondaydotcomorg/monday-api-mcp", "3.3.0"),
    ("@mui/mcp", "0.1.6"),
    ("@mux/mcp", "12.8.0"),
    ("@mzxrai/mcp-webresearch", "0.1.7"),
    ("@negokaz/excel-mcp-server", "0.12.0"),
    ("@neondatabase/mcp-server-neon", "0.6.5"),
    ("@pinecone-database/mcp", "0.3.0"),
    ("@piotr-agier/google-drive-mcp", "2.10.0"),
    ("@posthog/mcp", "0.16.3"),
    ("@railway/mcp-server", "0.1.12"),
    ("@roychri/mcp-server-asana", "1.8.0"),
    ("@salesforce/mcp", "0.30.15"),
    ("@sanity/mcp-server", "0.12.2"),
    ("@steipete/claude-code-mcp", "1.10.12"),
    ("@steipete/macos-automator-mcp", "0.4.7"),
    ("@storybook/addon-mcp", "10.6.2"),
    ("@storybook/mcp", "10.6.0"),
    ("@sveltejs/mcp", "0.1.26"),
    ("@tokenizin/mcp-npx-fetch", "1.0.0"),
    ("@tsmztech/mcp-server-salesforce", "0.0.6"),
    ("@upstash/context7-mcp", "4.1.1"),
    ("@upstash/mcp-server", "0.3.0"),
    ("@vercel/mcp-adapter", "1.0.0"),
    ("@wonderwhy-er/desktop-commander", "0.2.52"),
    ("@zencoderai/slack-mcp-server", "0.0.1"),
    ("@zereight/mcp-gitlab", "2.1.64"),
    ("@zilliz/claude-context-mcp", "0.1.15"),
    ("airtable-mcp-server", "1.14.0"),
    ("convex", "1.49.0"),
    ("dataforseo-mcp-server", "3.1.1"),
    ("discord-mcp", "2.4.0"),
    ("docker-mcp", "1.0.0"),
    ("drawio-mcp-server", "2.3.0"),
    ("excalidraw-mcp", "1.0.0"),
    ("fetch-mcp", "0.0.5"),
    ("inngest", "4.24.0"),
    ("ios-simulator-mcp", "2.1.0"),
    ("jina-mcp-tools", "1.2.3"),
    ("linear-mcp-server", "0.1.0"),
    ("mcp-discord", "1.3.4"),
    ("mcp-excalidraw-server", "2.0.0"),
    ("mcp-google-sheets", "2.0.1"),
    ("mcp-mailtrap", "0.9.0"),
    ("mcp-mermaid", "0.4.1"),
    ("mcp-mongo-server", "3.0.1"),
    ("mcp-searxng", "2.4.0"),
    ("mcp-server-fetch-typescript", "0.1.1"),
    ("mcp-server-google-analytics", "1.1.0"),
    ("mcp-server-gsc", "0.3.0"),
    ("mcp-shrimp-task-manager", "1.0.21"),
    ("minimax-mcp-js", "0.0.18"),
    ("mysql-mcp-server", "0.1.4"),
    ("nuxt-mcp", "0.2.6"),
    ("obsidian-mcp-server", "3.2.12"),
    ("puppeteer-mcp-server", "0.7.2"),
    ("replicate-mcp", "0.9.0"),
    ("repomix", "1.18.1"),
    ("resend-mcp", "2.22.0"),
    ("shadcn-ui-mcp-server", "0.1.2"),
    ("shopify-mcp", "1.0.8"),
    ("shopify-mcp-server", "1.0.1"),
    ("slack-mcp-server", "1.3.0"),
    ("sonarqube-mcp-server", "1.10.21"),
    ("trigger.dev", "4.8.3"),
    ("unity-mcp", "1.1.0"),
    ("vercel-mcp", "0.0.7"),
    ("youtube-data-mcp-server", "1.0.16"),
]
# Of each round: the seed, how many sentences a package gives, and the packages.
ROUNDS = [(20261128, 42, FIRST), (20261202, 40, SECOND), (20261203, 40, THIRD), (20261204, 50, FOURTH)]
# What else the fourth round leaves out.
FOURTH_LEAVES_OUT = ("sentences-5", "sentences-6", "sentences-7", "sentences-learn-4")
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
    for number, (seed, per_package, packages) in enumerate(ROUNDS[:wanted], 1):
        for name in FOURTH_LEAVES_OUT if number == 4 else ():
            earlier.update(letters(row.split("\t")[-1]) for row in (here / f"{name}.tsv").read_text().splitlines()[1:])
        drawn = draw(Path(sys.argv[1]), seed, per_package, packages, earlier)
    prefix = "pqrt"[wanted - 1]
    digits = 4 if wanted == 4 else 3
    print("id\tpackage\tfile\tsentence")
    for n, row in enumerate(drawn):
        # Texts of a bundled audit tool are no descriptions; the ids stay.
        if "third_party" not in row[1]:
            print("\t".join([f"{prefix}{n:0{digits}}", *row]))


if __name__ == "__main__":
    main()
