// Loads an SDK from where tests/peers/install put it. An import by bare name would
// look beside this file, where nothing is installed.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { resolve } from "node:path";

const installed = process.env.MCP_WHITTLE_PEERS ?? fileURLToPath(new URL("../../.peers", import.meta.url));

/** The modules of one npm part ("v1", "v2"): a function from specifier to exports. */
export const modules = (part) => createRequire(resolve(installed, `npm-${part}`, "package.json"));
