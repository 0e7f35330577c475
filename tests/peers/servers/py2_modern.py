"""Real server on the Python SDK v2 that speaks only 2026-07-28, over stdio or HTTP;
`initialize` is answered with -32022. See README.md for what it offers."""

import json
import warnings

import anyio
import mcp.types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import SessionMessage
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import offer

# Logging is deprecated in the modern era; serving it while it lasts is the point here.
warnings.simplefilter("ignore", MCPDeprecationWarning)

MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"

counter = 0
bus = InMemorySubscriptionBus()


def text(value):
    return types.CallToolResult(content=[types.TextContent(type="text", text=str(value))])


def ask(params, request):
    """First round: what the client has to answer. Second round: the answer, as the result."""
    answer = (params.input_responses or {}).get("answer")
    if answer is None:
        return types.InputRequiredResult(input_requests={"answer": request})
    return text(json.dumps(answer.model_dump(by_alias=True, mode="json", exclude_none=True)))


async def list_tools(context, params):
    return types.ListToolsResult.model_validate({"tools": offer.TOOLS})


async def call_tool(context, params):
    global counter
    session, arguments = context.session, params.arguments or {}
    match params.name:
        case "echo":
            return text(arguments["message"])
        case "ask_elicitation":
            form = types.ElicitRequestFormParams(message="Which word?", requested_schema=offer.QUESTION)
            return ask(params, types.ElicitRequest(params=form))
        case "ask_sampling":
            message = types.SamplingMessage.model_validate(offer.PROMPT_TO_SAMPLE)
            sampling = types.CreateMessageRequestParams(messages=[message], max_tokens=64)
            return ask(params, types.CreateMessageRequest(params=sampling))
        case "ask_roots":
            return ask(params, types.ListRootsRequest())
        case "progress":
            for step in (1, 2, 3):
                await session.report_progress(step, 3)
                await offer.pause()
            return text("done")
        case "slow":
            await session.report_progress(0, 1)
            await offer.wait(arguments["ms"])
            return text("waited")
        case "cancelled_count":
            return text(offer.cancelled)
        case "log":
            await session.send_log_message("info", {"message": arguments["message"]}, "py2-modern")
            return text("logged")
        case "touch":
            counter += 1
            await bus.publish(ResourceUpdated(uri=offer.COUNTER))
            return text(counter)
    raise MCPError(types.INVALID_PARAMS, f"unknown tool {params.name}")


async def list_resources(context, params):
    return types.ListResourcesResult.model_validate({"resources": [offer.RESOURCE]})


async def list_resource_templates(context, params):
    return types.ListResourceTemplatesResult.model_validate({"resourceTemplates": [offer.TEMPLATE]})


async def read_resource(context, params):
    content = offer.read(str(params.uri), counter)
    if content is None:
        raise MCPError(types.INVALID_PARAMS, f"unknown resource {params.uri}")
    contents = [{"uri": str(params.uri), "mimeType": "text/plain", "text": content}]
    return types.ReadResourceResult.model_validate({"contents": contents})


async def list_prompts(context, params):
    return types.ListPromptsResult.model_validate({"prompts": [offer.PROMPT]})


async def get_prompt(context, params):
    return types.GetPromptResult.model_validate(offer.greeting(params.arguments["name"]))


async def complete(context, params):
    completion = offer.completions(params.ref, params.argument)
    if completion is None:
        raise MCPError(types.INVALID_PARAMS, "nothing to complete there")
    return types.CompleteResult.model_validate({"completion": completion})


async def set_logging_level(context, params):
    """Never called in the modern era; having it is how this SDK declares `logging`."""
    return types.EmptyResult()


server = Server(
    "py2-modern",
    version="1.0.0",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_list_resources=list_resources,
    on_list_resource_templates=list_resource_templates,
    on_read_resource=read_resource,
    on_list_prompts=list_prompts,
    on_get_prompt=get_prompt,
    on_completion=complete,
    on_set_logging_level=set_logging_level,
    on_subscriptions_listen=ListenHandler(bus),
)


# SDK v2 serves both eras and has no switch for that, so what opens the legacy era is
# refused before the SDK sees it.


def refusal(request_id, params):
    data = {"supported": [MODERN], "requested": (params or {}).get("protocolVersion", "")}
    error = types.ErrorData(code=types.UNSUPPORTED_PROTOCOL_VERSION, message="Unsupported protocol version", data=data)
    return types.JSONRPCError(jsonrpc="2.0", id=request_id, error=error)


def is_modern(params):
    return VERSION_KEY in ((params or {}).get("_meta") or {})


async def stdio():
    async with stdio_server() as (read, write), anyio.create_task_group() as tasks:
        admit, admitted = anyio.create_memory_object_stream(0)
        refuse = write.clone()

        async def guard():
            async with admit, refuse:
                async for item in read:
                    message = getattr(item, "message", None)
                    if isinstance(message, types.JSONRPCRequest) and not is_modern(message.params):
                        await refuse.send(SessionMessage(refusal(message.id, message.params)))
                    else:
                        await admit.send(item)

        tasks.start_soon(guard)
        await server.run(admitted, write, server.create_initialization_options())


def create_app():
    app = server.streamable_http_app()

    async def guarded(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        request = Request(scope, receive)
        if request.headers.get("mcp-protocol-version", "") >= MODERN:
            return await app(scope, receive, send)
        if request.method != "POST":
            return await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
        try:
            message = await request.json()
        except ValueError:
            message = None
        message = message if isinstance(message, dict) else {}
        body = refusal(message.get("id"), message.get("params"))
        if is_modern(message.get("params")):
            body.error = types.ErrorData(code=types.HEADER_MISMATCH, message="MCP-Protocol-Version header is missing")
        body = body.model_dump(by_alias=True, mode="json", exclude_none=True)
        await JSONResponse(body, status_code=400)(scope, receive, send)

    return guarded


offer.serve(stdio, create_app)
