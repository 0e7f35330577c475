//! Requests other than tool calls: lists in pages, reads, prompts, completion, tasks of 2025-11-25,
//! `subscriptions/listen`, and a method that nobody knows.

use super::catalog;
use super::raw::{members, quoted, text};
use super::{Request, Server};

/// The cursor of every second page. Opaque to clients; looks like nothing they should take apart.
const SECOND_PAGE: &str = r#""p\u00e4ge 2\/=""#;

impl Server {
    pub(crate) fn answer(&mut self, request: &Request) {
        match request.method.as_str() {
            "tools/list" => {
                let mut second = catalog::TOOLS[1].to_vec();
                if self.is_tool_added {
                    second.push(catalog::ADDED);
                }
                self.page(request, "tools", [catalog::TOOLS[0], &second]);
            }
            "prompts/list" => self.page(request, "prompts", catalog::PROMPTS),
            "resources/list" => self.page(request, "resources", catalog::RESOURCES),
            "resources/templates/list" => self.result(
                request,
                &format!(
                    "\"resourceTemplates\":[{}],{}",
                    catalog::TEMPLATE,
                    catalog::VENDOR
                ),
            ),
            "resources/read" => self.read(request),
            "resources/subscribe" => {
                let uri = request.params.get("uri").cloned().unwrap_or_default();
                self.subscribed.insert(text(&uri));
                self.result(request, catalog::VENDOR);
            }
            "resources/unsubscribe" => {
                let uri = request.params.get("uri").cloned().unwrap_or_default();
                self.subscribed.remove(&text(&uri));
                self.result(request, catalog::VENDOR);
            }
            "prompts/get" => self.prompt(request),
            "completion/complete" => self.complete(request),
            "subscriptions/listen" if request.is_modern => self.listen(request),
            "tasks/get" | "tasks/result" | "tasks/list" | "tasks/cancel" if !request.is_modern => {
                self.task(request);
            }
            "com.example/compute" => self.result(
                request,
                &format!("\"got\":{},{}", request.raw_params, catalog::VENDOR),
            ),
            _ => self.unknown_method(request),
        }
    }

    fn page(&self, request: &Request, member: &str, pages: [&[&str]; 2]) {
        let (items, next) = match request.params.get("cursor").map(|raw| text(raw)) {
            None => (pages[0], format!("\"nextCursor\":{SECOND_PAGE},")),
            Some(cursor) if cursor == text(SECOND_PAGE) => (pages[1], String::new()),
            Some(_) => return self.fail(request, -32602, "unknown cursor", "null"),
        };
        self.result(
            request,
            &format!(
                "{next}\"{member}\":[{}],\"_meta\":{},{}",
                items.join(","),
                catalog::META,
                catalog::VENDOR
            ),
        );
    }

    fn read(&self, request: &Request) {
        let raw_uri = request.params.get("uri").cloned().unwrap_or_default();
        let uri = text(&raw_uri);
        let content = match uri.as_str() {
            "test://text" => r#""mimeType":"text/plain","text":"caf\u00e9 \/ \ud83d\ude00","_meta":{"com.example/r":2.50},"x-vendor":null"#.to_owned(),
            "test://blob" => r#""mimeType":"application/octet-stream","blob":"AP8Q/+8=","x-vendor":1E+2"#.to_owned(),
            // What the tool `seen` says, where results of tools are made smaller on the way.
            uri if uri.starts_with("test://seen/") => {
                format!("\"text\":{}", quoted(&self.seen()))
            }
            uri if uri.starts_with("test://item/") => {
                format!("\"mimeType\":\"application/json\",\"text\":{}", quoted(uri))
            }
            _ => {
                let code = if request.is_modern { -32602 } else { -32002 };
                let data = format!("{{\"uri\":{raw_uri},\"near\":[\"test://text\",null,2.50]}}");
                return self.fail(request, code, "Resource not found \u{2014} sorry", &data);
            }
        };
        self.result(
            request,
            &format!(
                "\"contents\":[{{\"uri\":{raw_uri},{content}}}],{}",
                catalog::VENDOR
            ),
        );
    }

    fn prompt(&self, request: &Request) {
        let name = request.params.get("name").map(|raw| text(raw));
        let arguments = request.params.get("arguments").cloned();
        if name.as_deref() != Some("greet") {
            return self.fail(request, -32602, "Unknown prompt", "null");
        }
        let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
        self.result(
            request,
            &format!(
                "\"description\":\"Greets \\u2014 politely.\",\"messages\":[{{\"role\":\"user\",\"content\":{{\"type\":\"text\",\"text\":{}}}}},{{\"role\":\"assistant\",\"content\":{},\"x-vendor\":2.50}}],{}",
                quoted(&arguments),
                catalog::CONTENT[4],
                catalog::VENDOR
            ),
        );
    }

    fn complete(&self, request: &Request) {
        self.result(
            request,
            &format!(
                "\"completion\":{{\"values\":[\"paris\",\"p\\u00e4rk\"],\"total\":12,\"hasMore\":true,\"x-vendor\":2.50}},\"got\":{}",
                request.raw_params
            ),
        );
    }

    fn listen(&mut self, request: &Request) {
        let filter = request.params.get("notifications").cloned();
        let filter = filter.unwrap_or_else(|| "{}".to_owned());
        self.notify(
            "notifications/subscriptions/acknowledged",
            &format!(
                "{{\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{},\"com.example/s\":2.50}},\"notifications\":{filter}}}",
                request.id
            ),
        );
        self.listens.insert(request.id.clone(), filter);
    }

    /// Tells the listeners whose filter names the change.
    pub(crate) fn tell_listeners(&self, method: &str, flag: &str, uri: Option<&str>) {
        for (id, filter) in &self.listens {
            let filter = members(filter);
            let is_wanted = match uri {
                Some(uri) => filter
                    .get("resourceSubscriptions")
                    .is_some_and(|uris| uris.contains(&quoted(uri))),
                None => filter.get(flag).is_some_and(|value| value == "true"),
            };
            if is_wanted {
                let uri = uri.map(|uri| format!(",\"uri\":{}", quoted(uri)));
                self.notify(
                    method,
                    &format!(
                        "{{\"_meta\":{{\"com.example/change\":2.50,\"io.modelcontextprotocol/subscriptionId\":{id}}}{}}}",
                        uri.unwrap_or_default()
                    ),
                );
            }
        }
    }

    /// One line of a task's state (2025-11-25 basic/utilities/tasks).
    pub(crate) fn task_state(id: &str, status: &str) -> String {
        format!(
            "\"taskId\":{id},\"status\":\"{status}\",\"statusMessage\":\"caf\\u00e9\",\"createdAt\":\"2026-01-01T00:00:00Z\",\"lastUpdatedAt\":\"2026-01-01T00:00:01Z\",\"ttl\":60000,\"pollInterval\":5,{}",
            catalog::VENDOR
        )
    }

    fn task(&mut self, request: &Request) {
        let id = request.params.get("taskId").cloned().unwrap_or_default();
        match request.method.as_str() {
            "tasks/get" => {
                self.n_task_looks += 1;
                if self.n_task_looks == 1 {
                    self.result(request, &Self::task_state(&id, "working"));
                    let done = Self::task_state(&id, "completed");
                    return self.notify("notifications/tasks/status", &format!("{{{done}}}"));
                }
                self.result(request, &Self::task_state(&id, "completed"));
            }
            "tasks/result" => self.result(
                request,
                &format!(
                    "\"content\":[{}],\"_meta\":{{\"io.modelcontextprotocol/related-task\":{{\"taskId\":{id}}}}},{}",
                    catalog::CONTENT[0],
                    catalog::VENDOR
                ),
            ),
            "tasks/list" => {
                let tasks: Vec<String> = (1..=self.n_tasks)
                    .map(|n| format!("{{{}}}", Self::task_state(&format!("\"task-{n}\""), "completed")))
                    .collect();
                self.result(request, &format!("\"tasks\":[{}]", tasks.join(",")));
            }
            _ => self.result(request, &Self::task_state(&id, "cancelled")),
        }
    }
}
