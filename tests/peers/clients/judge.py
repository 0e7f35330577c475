"""What the Python SDK itself says of a tool: its own model of a Tool, and the validator as the SDK uses it."""

import mcp.types as types
from jsonschema.validators import validator_for


def judge(tool):
    """The test of arguments; raises if the SDK does not take the tool."""
    tool = types.Tool.model_validate(tool)
    schema = tool.model_dump(by_alias=True, mode="json", exclude_none=True)["inputSchema"]
    validator_class = validator_for(schema)
    validator_class.check_schema(schema)
    return validator_class(schema).is_valid
