"""Real server on the Python SDK v1: legacy era only, over stdio or streamable HTTP with
sessions. See README.md for what it offers."""

import json
from contextlib import asynccontextmanager

import anyio
import mcp.types as types
from mcp.server.fastmcp.server import StreamableHTTPASGIApp
from mcp.server.lowlevel import Server
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import McpError
from mcp.shared.message import ServerMessageMetadata
from starlette.applications import Starlette
from starlette.routing import Route

import offer


class Subscribing(Server):
    """SDK v1 serves subscriptions but always declares that it does not."""

    def get_capabilities(self, *arguments):
        capabilities = super().get_capabilities(*arguments)
        capabilities.resources.subscribe = True
        return capabilities


server = Subscribing("py1-legacy", version="1.0.0")
# Of the process, not of a session: another session may ask what the first one did.
counter = 0
subscribers = set()


def text(value):
    return [types.TextContent(type="text", text=str(value))]


async def ask(context, request, result_type):
    """Asks the client on the stream of the call that caused the question."""
    metadata = ServerMessageMetadata(related_request_id=context.request_id)
    answer = await context.session.send_request(types.ServerRequest(request), result_type, metadata=metadata)
    return text(json.dumps(answer.model_dump(by_alias=True, mode="json", exclude_none=True)))


async def progress(context, value, total):
    if context.meta is not None and context.meta.progressToken is not None:
        await context.session.send_progress_notification(
            context.meta.progressToken, value, total, related_request_id=str(context.request_id)
        )


@server.list_tools()
async def list_tools():
    return [types.Tool.model_validate(tool) for tool in offer.TOOLS]


@server.call_tool()
async def call_tool(name, arguments):
    global counter
    context = server.request_context
    match name:
        case "echo":
            return text(arguments["message"])
        case "ask_elicitation":
            params = types.ElicitRequestFormParams(message="Which word?", requestedSchema=offer.QUESTION)
            return await ask(context, types.ElicitRequest(params=params), types.ElicitResult)
        case "ask_sampling":
            message = types.SamplingMessage.model_validate(offer.PROMPT_TO_SAMPLE)
            params = types.CreateMessageRequestParams(messages=[message], maxTokens=64)
            return await ask(context, types.CreateMessageRequest(params=params), types.CreateMessageResult)
        case "ask_roots":
            return await ask(context, types.ListRootsRequest(), types.ListRootsResult)
        case "progress":
            for step in (1, 2, 3):
                await progress(context, step, 3)
                await offer.pause()
            return text("done")
        case "slow":
            await progress(context, 0, 1)
            await offer.wait(arguments["ms"])
            return text("waited")
        case "cancelled_count":
            return text(offer.cancelled)
        case "log":
            await context.session.send_log_message(
                "info", {"message": arguments["message"]}, "py1-legacy", related_request_id=context.request_id
            )
            return text("logged")
        case "touch":
            counter += 1
            for session in list(subscribers):
                try:
                    await session.send_resource_updated(offer.COUNTER)
                except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                    # The client of that session has left.
                    subscribers.discard(session)
            return text(counter)
    raise ValueError(f"unknown tool {name}")


@server.list_resources()
async def list_resources():
    return [types.Resource.model_validate(offer.RESOURCE)]


@server.list_resource_templates()
async def list_resource_templates():
    return [types.ResourceTemplate.model_validate(offer.TEMPLATE)]


@server.read_resource()
async def read_resource(uri):
    content = offer.read(str(uri), counter)
    if content is None:
        raise ValueError(f"unknown resource {uri}")
    return [ReadResourceContents(content, "text/plain")]


@server.list_prompts()
async def list_prompts():
    return [types.Prompt.model_validate(offer.PROMPT)]


@server.get_prompt()
async def get_prompt(name, arguments):
    return types.GetPromptResult.model_validate(offer.greeting(arguments["name"]))


@server.completion()
async def complete(reference, argument, context):
    completion = offer.completions(reference, argument)
    if completion is None:
        raise McpError(types.ErrorData(code=types.INVALID_PARAMS, message="nothing to complete there"))
    return types.Completion.model_validate(completion)


@server.subscribe_resource()
async def subscribe(uri):
    if str(uri) == offer.COUNTER:
        subscribers.add(server.request_context.session)


@server.unsubscribe_resource()
async def unsubscribe(uri):
    subscribers.discard(server.request_context.session)


@server.set_logging_level()
async def set_logging_level(level):
    """Everything this server logs is at info, so there is nothing to filter."""


async def stdio():
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def create_app():
    manager = StreamableHTTPSessionManager(server)

    @asynccontextmanager
    async def lifespan(app):
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", StreamableHTTPASGIApp(manager))], lifespan=lifespan)


offer.serve(stdio, create_app)
