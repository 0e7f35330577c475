// Client driver on the TypeScript SDK v1: legacy era only. See README.md.
import { modules } from "../modules.mjs";
import { judge } from "./judge.mjs";
import { CAPABILITIES, ROOT, SAMPLED, bearer, drive, fillForm } from "./steps.mjs";

const load = modules("v1");
const { Client } = load("@modelcontextprotocol/sdk/client");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const schemas = load("@modelcontextprotocol/sdk/types.js");

drive(["legacy"], ({ url, command }) => {
  const client = new Client({ name: "driver-ts1", version: "1.0.0" }, { capabilities: CAPABILITIES });
  client.setRequestHandler(schemas.ElicitRequestSchema, ({ params }) => fillForm(params.requestedSchema));
  client.setRequestHandler(schemas.CreateMessageRequestSchema, () => SAMPLED);
  client.setRequestHandler(schemas.ListRootsRequestSchema, () => ({ roots: [ROOT] }));
  const transport = url
    ? new StreamableHTTPClientTransport(new URL(url), bearer())
    : new StdioClientTransport({ command: command[0], args: command.slice(1), env: process.env });
  // The client tells a transport the agreed version and keeps no copy that can be read;
  // the stdio transport does not care, so the driver listens in its place.
  let told;
  transport.setProtocolVersion ??= (version) => (told = version);
  return {
    client,
    judge: judge("v1"),
    async connect(requestOptions) {
      await client.connect(transport, requestOptions);
      return {
        protocolVersion: transport.protocolVersion ?? told,
        serverInfo: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
      };
    },
    callTool: (params, options) => client.callTool(params, undefined, options),
    async subscribe(uri, onUpdated) {
      client.setNotificationHandler(schemas.ResourceUpdatedNotificationSchema, ({ params }) => onUpdated(params.uri));
      await client.subscribeResource({ uri });
      return () => client.unsubscribeResource({ uri });
    },
    onLog: (seen) =>
      client.setNotificationHandler(schemas.LoggingMessageNotificationSchema, ({ params }) => seen(params)),
    async setLogLevel(level) {
      await client.setLoggingLevel(level);
    },
  };
});
