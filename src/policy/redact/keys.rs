//! Which names speak of secrets, and which the protocol needs as they are.

/// Ends of names, in lower case without separators, whose values are secret.
const SECRET_ENDS: [&str; 19] = [
    "authorization",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "secret",
    "secrets",
    "apikey",
    "apikeys",
    "accesskey",
    "accesskeyid",
    "secretkey",
    "privatekey",
    "signingkey",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "token",
];
/// Whole names whose values are secret.
const SECRET_NAMES: [&str; 4] = ["auth", "pwd", "pass", "xamzsignature"];
/// Ends of names that only look so: where a list goes on, and words that name a mark.
const PLAIN_ENDS: [&str; 8] = [
    "progresstoken",
    "nexttoken",
    "pagetoken",
    "synctoken",
    "continuationtoken",
    "cursortoken",
    "maxtoken",
    "numtoken",
];
/// Members that the protocol compares or gives back.
const PROTOCOL: [&str; 12] = [
    "cursor",
    "nextCursor",
    "requestState",
    "progressToken",
    "requestId",
    "taskId",
    "elicitationId",
    "protocolVersion",
    "mimeType",
    "resultType",
    "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/protocolVersion",
];

/// Tells whether the value of a member, header or variable of this name is secret.
pub(super) fn is_secret(name: &str) -> bool {
    // A sentence that ends in such a word is no name.
    if name.len() > 64 || name.contains(' ') {
        return false;
    }
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let ends_in = |ends: &[&str]| ends.iter().any(|end| plain.ends_with(end));
    (SECRET_NAMES.contains(&plain.as_str()) || ends_in(&SECRET_ENDS)) && !ends_in(&PLAIN_ENDS)
}

/// Tells whether a number under this name counts things, even if a text under it is secret: `secrets: 3`, and the
/// `pass: 12` of tests.
pub(super) fn counts(name: &str) -> bool {
    name.ends_with(['s', 'S'])
}

/// Tells whether the protocol needs the member's text as it is.
pub(super) fn is_protocol(name: &str) -> bool {
    PROTOCOL.contains(&name)
}

/// Tells whether long base64 is what the member is for.
pub(super) fn is_blob(name: &str) -> bool {
    matches!(name, "data" | "blob")
}
