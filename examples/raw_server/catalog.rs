//! What the server offers, as JSON text. Compact on purpose: a reduction may drop insignificant
//! whitespace, and then what is left has to be these bytes. Numbers, escapes and members are such as a
//! typed model would change or drop.

/// A member that no specification knows; may stand in any object.
pub(crate) const VENDOR: &str =
    r#""x-vendor":{"n":2.50,"big":12345678901234567890123,"e":1E+2,"s":"\u00e9\/ü","none":null}"#;

/// `_meta` of results.
pub(crate) const META: &str = r#"{"com.example/trace":{"deep":[1,2.50,null]}}"#;

/// The handshake's answer, behind the version.
pub(crate) const INITIALIZE: &str = r#""capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}},"experimental":{"com.example/x":{"level":2.50}},"x-vendor":{}},"serverInfo":{"name":"raw-server \u2014 ü","title":"Raw","version":"1.2.3","websiteUrl":"https://example.com/","icons":[{"src":"data:image/png;base64,AA=="}],"x-vendor":1},"instructions":"First look,\nthen \"leap\" \u2014 always.","_meta":{"com.example/handshake":[1E+2]},"x-vendor":null"#;

/// The answer to `server/discover`, behind the members that all results have.
pub(crate) const DISCOVER: &str = r#""supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{},"extensions":{"com.example/x":{"level":2.50}},"x-vendor":{}},"instructions":"First look,\nthen \"leap\" \u2014 always.","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"raw-server \u2014 ü","title":"Raw","version":"1.2.3","x-vendor":1},"com.example/handshake":[1E+2]},"x-vendor":null"#;

/// The tools, page by page.
pub(crate) const TOOLS: [&[&str]; 2] = [
    &[
        r#"{"name":"full","title":"Full \u2014 shown so","description":"Has every member.","inputSchema":{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"count":{"type":"integer","minimum":1,"maximum":1E+2,"default":10,"description":"How many"},"mode":{"enum":["a","b",null]}},"required":["count"],"additionalProperties":false,"x-vendor":{"k":2.50}},"outputSchema":{"type":"object","properties":{"total":{"type":"number"},"ratio":{"type":"number"}},"required":["total"],"x-vendor":[null]},"annotations":{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false,"x-vendor-hint":"kept"},"icons":[{"src":"https://example.com/i.png","mimeType":"image/png","sizes":["48x48"],"theme":"dark"}],"execution":{"taskSupport":"optional","x-vendor":1},"_meta":{"com.example/tool":{"deep":[1,2.50,1E+2]},"ui":{"resourceUri":"ui://raw/full"}},"x-vendor":{"big":12345678901234567890123}}"#,
        r#"{"name":"reducible", "title":"Reducible", "description":"Can be said in less.", "inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema", "title":"reducibleArguments", "type":"object", "properties":{"a":{"title":"A", "type":"string"}}, "$defs":{"Unreached":{"type":"object", "properties":{"x":{"type":"string"}}}}}}"#,
        r#"{"name":"echo","description":"Says its parameters.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"content","description":"Every kind of content.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"fail","description":"Fails as a tool.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"refuse","description":"Fails as a request.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"meet","description":"Answers when enough calls run at once.","inputSchema":{"type":"object","properties":{"parties":{"type":"integer"}}}}"#,
        r#"{"name":"work","description":"Reports progress.","inputSchema":{"type":"object"}}"#,
    ],
    &[
        r#"{"name":"wait","description":"Waits to be cancelled.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"cancelled","description":"Says what was cancelled.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"ask","description":"Asks the client.","inputSchema":{"type":"object","properties":{"what":{"type":"string"}}}}"#,
        r#"{"name":"log","description":"Logs at each level.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"touch","description":"Changes a resource.","inputSchema":{"type":"object","properties":{"uri":{"type":"string"}}}}"#,
        r#"{"name":"add_tool","description":"Adds a tool.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"notify","description":"Sends notifications nobody knows.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"job","description":"Runs as a task.","inputSchema":{"type":"object"},"execution":{"taskSupport":"required"}}"#,
        r#"{"name":"end_listens","description":"Ends streams of changes.","inputSchema":{"type":"object"}}"#,
        r#"{"name":"seen","description":"Says every line that arrived.","inputSchema":{"type":"object"}}"#,
    ],
];

/// The tool that `add_tool` adds at the end.
pub(crate) const ADDED: &str = r#"{"name":"added","description":"Was added.","inputSchema":{"type":"object"},"x-vendor":2.50}"#;

/// The prompts, page by page.
pub(crate) const PROMPTS: [&[&str]; 2] = [
    &[
        r#"{"name":"plain","title":"Plain","description":"No arguments.","icons":[{"src":"https://example.com/p.png"}],"_meta":{"com.example/p":2.50},"x-vendor":null}"#,
    ],
    &[
        r#"{"name":"greet","description":"Greets \u2014 politely.","arguments":[{"name":"who","title":"Whom","description":"Who is greeted","required":true,"x-vendor":1E+2},{"name":"tone","description":"How","required":false}]}"#,
    ],
];

/// The resources, page by page.
pub(crate) const RESOURCES: [&[&str]; 2] = [
    &[
        r#"{"uri":"test://text","name":"text","title":"Text","description":"A text \u2014 short.","mimeType":"text/plain","size":12,"annotations":{"audience":["user","assistant"],"priority":0.50,"lastModified":"2026-01-01T00:00:00Z"},"icons":[{"src":"https://example.com/r.png"}],"_meta":{"com.example/r":{"deep":[2.50]}},"x-vendor":12345678901234567890123}"#,
    ],
    &[
        r#"{"uri":"test://blob","name":"blob","mimeType":"application/octet-stream","size":6}"#,
        r#"{"uri":"test://watched","name":"watched"}"#,
    ],
];

/// The one resource template.
pub(crate) const TEMPLATE: &str = r#"{"uriTemplate":"test://item/{id}{?part}","name":"item","title":"Item","description":"One item.","mimeType":"application/json","annotations":{"priority":1.0},"_meta":{"com.example/t":null},"x-vendor":2.50}"#;

/// One block of each kind, and one of a kind that nobody knows.
pub(crate) const CONTENT: [&str; 7] = [
    r#"{"type":"text","text":"caf\u00e9\/","annotations":{"audience":["user"],"priority":0.90,"lastModified":"2026-01-01T00:00:00Z"},"_meta":{"com.example/c":1E+2}}"#,
    r#"{"type":"image","data":"iVBORw0KGgo=","mimeType":"image/png","annotations":{"priority":1.0},"x-vendor":2.50}"#,
    r#"{"type":"audio","data":"UklGRgA=","mimeType":"audio/wav","_meta":{"com.example/c":[null]}}"#,
    r#"{"type":"resource_link","uri":"test://text","name":"text","title":"Text","description":"Look here","mimeType":"text/plain","size":12,"icons":[{"src":"https://example.com/r.png"}],"x-vendor":null}"#,
    r#"{"type":"resource","resource":{"uri":"test://inline","mimeType":"text/markdown","text":"* \u2014 inline","_meta":{"com.example/e":2.50}},"annotations":{"audience":["assistant"]}}"#,
    r#"{"type":"resource","resource":{"uri":"test://inline-blob","mimeType":"application/octet-stream","blob":"AP8Q/+8="},"x-vendor":1}"#,
    r#"{"type":"com.example/hologram","depth":2.50,"data":[1E+2]}"#,
];

/// A structured value that a typed number or a dropped null would change.
pub(crate) const STRUCTURED: &str = r#"{"total":12345678901234567890123,"ratio":2.50,"none":null,"list":[{"a":1E+2},[],{}],"text":"\u00e9\/"}"#;
