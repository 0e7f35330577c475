"""Client driver on the Python SDK v1: legacy era only. See README.md."""

import os
from contextlib import asynccontextmanager

import httpx
import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

from steps import INFO, Asked, drive, plain


class Peer(Asked):
    async def message(self, message):
        if isinstance(message, types.ServerNotification) and isinstance(message.root, types.ResourceUpdatedNotification):
            self.on_updated(message.root.params.uri)

    async def start(self, session):
        self.session = session
        result = await session.initialize()
        self.info = {
            "protocolVersion": result.protocolVersion,
            "serverInfo": plain(result.serverInfo),
            "capabilities": plain(result.capabilities),
        }

    def _page(self, cursor):
        return types.PaginatedRequestParams(cursor=cursor)

    async def list_tools(self, cursor):
        return await self.session.list_tools(params=self._page(cursor))

    async def list_prompts(self, cursor):
        return await self.session.list_prompts(params=self._page(cursor))

    async def list_resources(self, cursor):
        return await self.session.list_resources(params=self._page(cursor))

    async def list_templates(self, cursor):
        return await self.session.list_resource_templates(params=self._page(cursor))

    async def call_tool(self, name, arguments, on_progress=None, meta=None):
        return await self.session.call_tool(name, arguments, progress_callback=on_progress, meta=meta)

    async def read_resource(self, uri):
        return await self.session.read_resource(AnyUrl(uri))

    def canceller_of_next_call(self, scope):
        # SDK v1 has no API to cancel a call: an application sends the notification itself,
        # and the only way to learn the id is the session's own counter.
        request_id = self.session._request_id

        async def cancel():
            params = types.CancelledNotificationParams(requestId=request_id, reason="the driver cancels")
            notification = types.CancelledNotification(params=params)
            await self.session.send_notification(types.ClientNotification(notification))

        return cancel

    @asynccontextmanager
    async def subscription(self, uri, on_updated):
        self.on_updated = on_updated
        await self.session.subscribe_resource(uri)
        yield
        await self.session.unsubscribe_resource(uri)

    async def set_log_level(self, level):
        await self.session.set_logging_level(level)

    async def complete(self, reference, argument):
        kinds = {"ref/prompt": types.PromptReference, "ref/resource": types.ResourceTemplateReference}
        return await self.session.complete(kinds[reference["type"]].model_validate(reference), argument)


@asynccontextmanager
async def connect(options):
    if options.url:
        token = os.environ.get("DRIVER_BEARER")
        http_client = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) if token else None
        transport = streamable_http_client(options.url, http_client=http_client)
    else:
        command, *arguments = options.command
        transport = stdio_client(StdioServerParameters(command=command, args=arguments, env=dict(os.environ)))
    peer = Peer()
    async with transport as (read, write, *_):
        async with ClientSession(
            read,
            write,
            sampling_callback=peer.sample,
            elicitation_callback=peer.elicit,
            list_roots_callback=peer.list_roots,
            logging_callback=peer.log,
            message_handler=peer.message,
            client_info=types.Implementation(name="driver-py1", **INFO),
        ) as session:
            await peer.start(session)
            yield peer


drive(["legacy"], connect)
