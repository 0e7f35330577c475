"""What the Python servers share: what they offer, in wire form, and the command line."""

import argparse
import re
import socket
import sys

import anyio
import uvicorn

COUNTER = "test://counter"
ITEMS = ["alpha", "beta", "gamma"]
NAMES = ["ada", "alan", "barbara"]
QUESTION = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
PROMPT_TO_SAMPLE = {"role": "user", "content": {"type": "text", "text": "Say a line."}}


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": description, "inputSchema": schema}


TOOLS = [
    tool("echo", "Gives back the message.", message={"type": "string"}),
    tool("ask_elicitation", "Asks the user for a word."),
    tool("ask_sampling", "Asks the client's model for a line."),
    tool("ask_roots", "Asks the client for its roots."),
    tool("progress", "Reports three steps of progress."),
    tool("slow", "Waits; reports progress once when it starts.", ms={"type": "integer", "maximum": 60000}),
    tool("cancelled_count", "How many calls of slow were cancelled."),
    tool("log", "Logs the message at level info.", message={"type": "string"}),
    tool("touch", "Changes test://counter."),
]
RESOURCE = {"name": "counter", "uri": COUNTER, "mimeType": "text/plain"}
TEMPLATE = {"name": "item", "uriTemplate": "test://items/{id}", "mimeType": "text/plain"}
PROMPT = {"name": "greet", "arguments": [{"name": "name", "required": True}]}


async def pause():
    """Between two steps of progress, and before the answer.

    SDK v1 clients drop progress that arrives in one read with the answer, because they
    settle the call first.
    """
    await anyio.sleep(0.05)


# How many callers gave `wait` up: in all sessions, as another may ask.
cancelled = 0


async def wait(milliseconds):
    """Waits, and counts it if the caller gives up."""
    global cancelled
    try:
        await anyio.sleep(milliseconds / 1000)
    except anyio.get_cancelled_exc_class():
        cancelled += 1
        raise


def read(uri, counter):
    """The text of a resource, or None if there is no such resource."""
    if uri == COUNTER:
        return str(counter)
    item = re.fullmatch(r"test://items/(\w+)", uri)
    return item and item[1]


def greeting(name):
    return {"messages": [{"role": "user", "content": {"type": "text", "text": f"Greet {name}."}}]}


def completions(reference, argument):
    """The completion for an argument, or None if there is no such argument."""
    about = getattr(reference, "name", None) or str(getattr(reference, "uri", None))
    known = {(PROMPT["name"], "name"): NAMES, (TEMPLATE["uriTemplate"], "id"): ITEMS}
    values = known.get((about, argument.name))
    if values is None:
        return None
    return {"values": [value for value in values if value.startswith(argument.value)]}


def serve(stdio, create_app):
    """Starts what the command line asks for: the coroutine `stdio`, or an ASGI application."""
    parser = argparse.ArgumentParser(usage="SERVER --stdio | --http 127.0.0.1:PORT")
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--http")
    options = parser.parse_args()
    if options.stdio:
        return anyio.run(stdio)
    address = re.fullmatch(r"127\.0\.0\.1:(\d+)", options.http or "")
    if not address:
        parser.error("give --stdio, or --http with a port of 127.0.0.1")
    listener = socket.create_server(("127.0.0.1", int(address[1])))
    # The socket listens from here on, so a client that reads this line cannot come too early.
    print(f"listening http://127.0.0.1:{listener.getsockname()[1]}/mcp", file=sys.stderr, flush=True)
    config = uvicorn.Config(create_app(), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])
