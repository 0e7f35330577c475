// What the TypeScript SDKs themselves say of a tool: their own model of a Tool, and the JSON Schema
// validators that their client uses.
import { modules } from "../modules.mjs";

/** A function from a tool to the SDK's test of arguments; it throws if the SDK does not take the tool. */
export function judge(part) {
  const load = modules(part);
  const [{ ToolSchema }, { AjvJsonSchemaValidator }, { CfWorkerJsonSchemaValidator }] =
    part === "v1"
      ? // SDK v1 has the second one only where a package is installed that it does not bring.
        [load("@modelcontextprotocol/sdk/types.js"), load("@modelcontextprotocol/sdk/validation/ajv"), {}]
      : [
          load("@modelcontextprotocol/core"),
          load("@modelcontextprotocol/client/validators/ajv"),
          load("@modelcontextprotocol/client/validators/cf-worker"),
        ];
  return (tool) => {
    const { inputSchema } = ToolSchema.parse(tool);
    // A new one for each schema: one validator takes no second schema with the same $id.
    const validate = new AjvJsonSchemaValidator().getValidator(inputSchema);
    if (CfWorkerJsonSchemaValidator) new CfWorkerJsonSchemaValidator().getValidator(inputSchema)({});
    return (instance) => validate(instance).valid;
  };
}
