//! Keys of `_meta` that we read or write.

/// The protocol version of a modern request.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The capabilities of the client that sends a modern request.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The client's name and version on a modern request.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The lowest level of log messages that a modern request wants.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The server's name and version on a modern result.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The id of the listen request that a message on its stream belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The token under which progress of a request is reported.
pub const PROGRESS_TOKEN: &str = "progressToken";

/// The members of a modern request's `_meta` that a legacy server does not know.
pub const MODERN_REQUEST: [&str; 4] = [
    PROTOCOL_VERSION,
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
];

/// How many mcp-whittle hops lie downstream of the receiver, on `initialize` and on modern requests.
pub const HOP: &str = "dev.mcp-whittle/hop";
/// Random names of the mcp-whittle processes that a handshake came through, on `initialize` and `server/discover`.
pub const VIA: &str = "dev.mcp-whittle/via";
/// Servers that are missing from a merged list, on its result.
pub const MISSING_SERVERS: &str = "dev.mcp-whittle/missingServers";
/// Set on a list that was cut because a server never ended its pages.
pub const TRUNCATED: &str = "dev.mcp-whittle/truncated";
/// What an answer of ours that is a tool's result says to programs: the `data` of the error that it stands for.
pub const ERROR: &str = "dev.mcp-whittle/error";
/// What a request wants of the cache (`no-cache`, `only-if-cached`); on a result, that it came from the
/// cache and how old it is.
pub const CACHE: &str = "dev.mcp-whittle/cache";
