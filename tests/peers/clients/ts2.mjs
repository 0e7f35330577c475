// Client driver on the TypeScript SDK v2: both eras. See README.md.
import { modules } from "../modules.mjs";
import { judge } from "./judge.mjs";
import { CAPABILITIES, ROOT, SAMPLED, bearer, drive, fillForm } from "./steps.mjs";

const load = modules("v2");
const { Client, StreamableHTTPClientTransport, LOG_LEVEL_META_KEY } = load("@modelcontextprotocol/client");
const { StdioClientTransport } = load("@modelcontextprotocol/client/stdio");

drive(["legacy", "modern"], ({ era, url, command }) => {
  const isModern = era === "modern";
  const client = new Client(
    { name: "driver-ts2", version: "1.0.0" },
    {
      capabilities: CAPABILITIES,
      // The pin makes it modern or nothing: `auto` could fall back without a word.
      versionNegotiation: { mode: isModern ? { pin: "2026-07-28" } : "legacy" },
    },
  );
  client.setRequestHandler("elicitation/create", ({ params }) => fillForm(params.requestedSchema));
  client.setRequestHandler("sampling/createMessage", () => SAMPLED);
  client.setRequestHandler("roots/list", () => ({ roots: [ROOT] }));
  const transport = url
    ? new StreamableHTTPClientTransport(new URL(url), bearer())
    : new StdioClientTransport({ command: command[0], args: command.slice(1), env: process.env });
  return {
    client,
    judge: judge("v2"),
    async connect(requestOptions) {
      await client.connect(transport, requestOptions);
      return {
        protocolVersion: client.getNegotiatedProtocolVersion(),
        serverInfo: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
      };
    },
    callTool: (params, options) => client.callTool(params, options),
    async subscribe(uri, onUpdated) {
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => onUpdated(params.uri));
      if (isModern) {
        const subscription = await client.listen({ resourceSubscriptions: [uri] });
        return () => subscription.close();
      }
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
    onLog: (seen) => client.setNotificationHandler("notifications/message", ({ params }) => seen(params)),
    // Modern clients ask for logs request by request, so the level is given back as `_meta`.
    async setLogLevel(level) {
      if (isModern) return { [LOG_LEVEL_META_KEY]: level };
      await client.setLoggingLevel(level);
    },
  };
});
