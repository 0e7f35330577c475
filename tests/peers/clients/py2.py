"""Client driver on the Python SDK v2: both eras. See README.md."""

import os
import warnings
from contextlib import asynccontextmanager

import anyio
import httpx2
import mcp.types as types
import opentelemetry.context
import opentelemetry.propagate
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning

from steps import INFO, Asked, drive, plain

# The legacy era's calls are deprecated in this SDK; using them is the point here.
warnings.simplefilter("ignore", MCPDeprecationWarning)

MODERN = "2026-07-28"
LOG_LEVEL = "io.modelcontextprotocol/logLevel"

# The trace that the client is part of; the SDK writes it into requests by itself (SEP-414).
if parent := os.environ.get("DRIVER_TRACEPARENT"):
    opentelemetry.context.attach(opentelemetry.propagate.extract({"traceparent": parent}))


class Peer(Asked):
    async def message(self, message):
        if isinstance(message, types.ResourceUpdatedNotification):
            self.on_updated(message.params.uri)

    def start(self, client):
        self.client = client
        self.is_modern = client.protocol_version == MODERN
        self.info = {
            "protocolVersion": client.protocol_version,
            "serverInfo": client.server_info and plain(client.server_info),
            "capabilities": plain(client.server_capabilities),
        }

    async def list_tools(self, cursor):
        return await self.client.list_tools(cursor=cursor)

    async def list_prompts(self, cursor):
        return await self.client.list_prompts(cursor=cursor)

    async def list_resources(self, cursor):
        return await self.client.list_resources(cursor=cursor)

    async def list_templates(self, cursor):
        return await self.client.list_resource_templates(cursor=cursor)

    async def call_tool(self, name, arguments, on_progress=None, meta=None):
        return await self.client.call_tool(name, arguments, progress_callback=on_progress, meta=meta)

    async def read_resource(self, uri):
        return await self.client.read_resource(uri)

    def canceller_of_next_call(self, scope):
        # SDK v2 cancels a call when the scope it runs in is cancelled.
        async def cancel():
            scope.cancel()

        return cancel

    @asynccontextmanager
    async def subscription(self, uri, on_updated):
        if not self.is_modern:
            self.on_updated = on_updated
            await self.client.subscribe_resource(uri)
            yield
            await self.client.unsubscribe_resource(uri)
            return

        async def watch(events):
            async for event in events:
                on_updated(event.uri)

        async with self.client.listen(resource_subscriptions=[uri]) as events, anyio.create_task_group() as watching:
            watching.start_soon(watch, events)
            yield
            watching.cancel_scope.cancel()

    async def set_log_level(self, level):
        # Modern clients ask for logs request by request, so the level is given back as `_meta`.
        if self.is_modern:
            return {LOG_LEVEL: level}
        await self.client.set_logging_level(level)

    async def complete(self, reference, argument):
        kinds = {"ref/prompt": types.PromptReference, "ref/resource": types.ResourceTemplateReference}
        return await self.client.complete(kinds[reference["type"]].model_validate(reference), argument)


@asynccontextmanager
async def connect(options):
    if options.url:
        server = options.url
        if token := os.environ.get("DRIVER_BEARER"):
            http_client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"})
            server = streamable_http_client(options.url, http_client=http_client)
    else:
        command, *arguments = options.command
        server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    peer = Peer()
    async with Client(
        server,
        # Not the pin: a pinned client asks nothing, so it would not learn the capabilities.
        mode="legacy" if options.era == "legacy" else "auto",
        sampling_callback=peer.sample,
        elicitation_callback=peer.elicit,
        list_roots_callback=peer.list_roots,
        logging_callback=peer.log,
        message_handler=peer.message,
        client_info=types.Implementation(name="driver-py2", **INFO),
    ) as client:
        peer.start(client)
        if options.era == "modern" and not peer.is_modern:
            raise ConnectionError(f"the client fell back to {client.protocol_version}")
        yield peer


drive(["legacy", "modern"], connect)
