"""Answers searches with FastMCP's own BM25 search transform over the fleets of this folder.

    pip install fastmcp==4.1.0
    surface_report queries CORPUS > queries.jsonl
    python3 fastmcp_search.py < queries.jsonl > answers.jsonl

Each tool has the name, description, schemas, title and annotations that its server sent; names are
prefixed as ours are. `--list` prints the two tools that are listed instead (`fastmcp_search.json`).
Written are the text blocks of the results, by the default serializer (JSON) and by the Markdown one.
"""

import asyncio
import json
import sys

from fastmcp import Client, FastMCP
from fastmcp.server.transforms.search import BM25SearchTransform
from fastmcp.server.transforms.search.base import serialize_tools_for_output_markdown
from fastmcp.tools.base import Tool


def tool(definition):
    return Tool(
        name=definition["name"],
        title=definition.get("title"),
        description=definition.get("description"),
        parameters=definition["inputSchema"],
        output_schema=definition.get("outputSchema"),
        annotations=definition.get("annotations"),
    )


def server(tools, **options):
    made = FastMCP("fleet")
    for tool in tools:
        made.add_tool(tool)
    made.add_transform(BM25SearchTransform(**options))
    return made


async def text(client, query):
    result = await client.call_tool_mcp("search_tools", {"query": query})
    return "".join(block.text for block in result.content)


async def main():
    if "--list" in sys.argv:
        async with Client(server([])) as client:
            tools = await client.list_tools()
            dumped = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in tools]
            print(json.dumps(dumped, indent=1))
        return
    for line in sys.stdin:
        fleet = json.loads(line)
        tools = [tool(definition) for definition in fleet["tools"]]
        markdown = server(tools, search_result_serializer=serialize_tools_for_output_markdown)
        async with Client(server(tools)) as plain, Client(markdown) as other:
            for query in fleet["queries"]:
                answer = {"fleet": fleet["fleet"], "query": query}
                answer["json"] = await text(plain, query)
                answer["markdown"] = await text(other, query)
                print(json.dumps(answer))


asyncio.run(main())
