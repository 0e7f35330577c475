//! `deploy/`: what is in it is valid, agrees with itself, and does what its comments say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mcp_whittle::kube::manifest::yaml;
use serde_json::{Value, json};

use super::invariants::judge;
use crate::peers_kit::account::proof;
use crate::peers_kit::peer;

pub(super) fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

pub(super) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The documents of a stream.
pub(super) fn documents(stream: &str) -> Vec<Value> {
    stream
        .split("\n---\n")
        .map(|document| yaml::read(document).unwrap_or_else(|error| panic!("{error}\n{document}")))
        .filter(|value| !value.is_null())
        .collect()
}

/// Objects by kind and name, without the Namespace, which a chart does not make.
fn objects(stream: &str) -> BTreeMap<String, Value> {
    documents(stream)
        .into_iter()
        .filter(|object| object["kind"] != "Namespace")
        .map(|object| {
            (
                format!("{}/{}", object["kind"], object["metadata"]["name"]),
                object,
            )
        })
        .collect()
}

fn kustomize(folder: &Path) -> String {
    let output = peer("kubectl")
        .arg("kustomize")
        .arg(folder)
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{}: {}",
        folder.display(),
        text(&output)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn chart(options: &[&str]) -> Output {
    peer("helm")
        .args(["template", "mcp-whittle", "--namespace=mcp-whittle"])
        .arg(deploy().join("helm/mcp-whittle"))
        .args(options)
        .output()
        .expect("it runs")
}

/// Validates objects that have a schema; counts them.
fn validate(what: &str, stream: &str, versions: &[&str]) -> usize {
    let folder = tempfile::tempdir().expect("it works");
    let file = folder.path().join("objects.yaml");
    // Kinds of operators have no schema here.
    let known: Vec<String> = documents(stream)
        .iter()
        .filter(|object| {
            let group = object["apiVersion"].as_str().unwrap_or_default();
            !group.starts_with("cert-manager.io/") && !group.starts_with("monitoring.coreos.com/")
        })
        .map(Value::to_string)
        .collect();
    std::fs::write(&file, known.join("\n---\n")).expect("it works");
    for version in versions {
        let output = peer("kubernetes-validate")
            .args(["--strict", "-k", version])
            .arg(&file)
            .output()
            .expect("it runs");
        assert!(
            output.status.success(),
            "{what} {version}: {}",
            text(&output)
        );
        assert_eq!(
            text(&output).matches(" passed for ").count(),
            known.len(),
            "{what}"
        );
    }
    known.len() * versions.len()
}

#[test]
fn manifests_are_valid_and_the_chart_is_the_base() {
    let proof = proof("kube::deploy::manifests_are_valid_and_the_chart_is_the_base");
    let all = ["1.29.0", "1.33.0", "1.36.0", "1.37.0"];
    let kustomization = deploy().join("kustomize");
    let base = kustomize(&kustomization.join("base"));
    let cert_manager = kustomize(&kustomization.join("overlays/cert-manager"));
    let existing = kustomize(&kustomization.join("overlays/existing-secret"));
    let mut valid = 0;
    for (what, stream) in [
        ("base", &base),
        ("cert-manager", &cert_manager),
        ("existing-secret", &existing),
    ] {
        valid += validate(what, stream, &all);
    }
    // Each component on top of an overlay, in a copy: kustomize takes relative paths only.
    let copy = tempfile::tempdir().expect("it works");
    let copied = Command::new("cp")
        .arg("-R")
        .arg(&kustomization)
        .arg(copy.path())
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
    let folder = copy.path().join("kustomize/with-component");
    std::fs::create_dir(&folder).expect("it works");
    for component in ["networkpolicy", "podmonitor", "fail-closed"] {
        let file = format!(
            "resources: [../overlays/cert-manager]\ncomponents: [../components/{component}]\n"
        );
        std::fs::write(folder.join("kustomization.yaml"), file).expect("it works");
        let built = kustomize(&folder);
        assert!(
            objects(&built).len() > objects(&cert_manager).len(),
            "{component}"
        );
        valid += validate(component, &built, &["1.30.0", "1.33.0", "1.36.0", "1.37.0"]);
    }
    let policy = std::fs::read_to_string(deploy().join("policy/mutating-admission-policy.yaml"))
        .expect("it works");
    valid += validate("policy", &policy, &["1.36.0", "1.37.0"]);

    // No caBundle where cert-manager writes it: an empty one would be fought over.
    assert!(!cert_manager.contains("caBundle"));
    let output = chart(&[]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(objects(&text(&output)), objects(&cert_manager));
    let output = chart(&["--set=certs.mode=existingSecret"]);
    assert_eq!(objects(&text(&output)), objects(&base));
    let output = chart(&["--set=certs.mode=existingSecret,certs.caBundle=Q0hBTkdFIE1F"]);
    assert_eq!(objects(&text(&output)), objects(&existing));
    let many = "--set=webhook.rejectInvalid=true,webhook.allowImage=true,webhook.noRunAsUser=true,image.pullSecrets={one},image.pullPolicy=Always,webhook.logLevel=debug,webhook.excludedNamespaces={x}";
    for options in [&[many][..], &[many, "--kube-version=1.28.0"]] {
        let rendered = text(&chart(options));
        valid += validate("chart", &rendered, &all);
        started(&rendered, options.len() > 1);
    }
    for wrong in [
        "replicas=0",
        "certs.mode=self",
        "webhook.port=80",
        "image.digest=x",
        "typo=1",
        "webhook.failurePolicy=Maybe",
    ] {
        let output = chart(&[&format!("--set={wrong}")]);
        assert!(
            !output.status.success() && text(&output).contains("values don't meet"),
            "{wrong}: {}",
            text(&output)
        );
    }
    let lint = peer("helm")
        .args(["lint", "--strict"])
        .arg(deploy().join("helm/mcp-whittle"))
        .output()
        .expect("it runs");
    assert!(lint.status.success(), "{}", text(&lint));

    for (name, stream) in examples("injected") {
        valid += validate(&name, &stream, &all);
    }
    proof.ran("kubernetes-validate", valid);
    proof.ran("kubectl", 6);
    proof.ran("helm", 12);
    proof.close();
}

/// The program takes the options that a rendering gives it: it stops only at the certificate.
fn started(rendered: &str, is_old: bool) {
    let deployment = objects(rendered)
        .remove("\"Deployment\"/\"mcp-whittle-webhook\"")
        .expect("a deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> = container["args"]
        .as_array()
        .expect("args")
        .iter()
        .map(|arg| arg.as_str().expect("a text"))
        .collect();
    assert_eq!(args.contains(&"--kubernetes=1.28"), is_old);
    let output = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(args)
        .output()
        .expect("it runs");
    let told = text(&output);
    assert!(
        told.starts_with("error: cannot read `/tls/tls.crt`"),
        "{told}"
    );
}

/// The examples of a folder by name.
pub(super) fn examples(folder: &str) -> BTreeMap<String, String> {
    std::fs::read_dir(deploy().join("examples").join(folder))
        .expect("the examples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read_to_string(path).expect("UTF-8"))
        })
        .collect()
}

/// Where the pod of an object stands.
pub(super) fn pod(object: &Value) -> &Value {
    let spec = &object["spec"];
    match object["kind"].as_str() {
        Some("Pod") => object,
        Some("CronJob") => &spec["jobTemplate"]["spec"]["template"],
        _ => &spec["template"],
    }
}

#[test]
fn examples_become_what_is_beside_them() {
    let (examples, injected) = (examples(""), examples("injected"));
    assert_eq!(examples.len(), 6);
    for (name, text) in &examples {
        let (code, out, told) = super::inject::inject(&[], text);
        assert_eq!(code, Some(0), "{name}: {told}");
        assert!(
            !told.contains("left alone") && !told.contains("WARN"),
            "{name}: {told}"
        );
        assert_eq!(
            &out, &injected[name],
            "{name}; hint: mcp-whittle inject -f deploy/examples/{name}"
        );
        let (before, after) = (documents(text), documents(&out));
        let (before, after) = (pod(&before[0]), pod(&after[0]));
        let (mode, target) = match name.as_str() {
            "server-named-port.yaml" | "server-loopback.yaml" => ("server", "server"),
            "client-agent.yaml" => ("client", "agent"),
            "client-job.yaml" => ("client", "report"),
            _ => ("stdio", "server"),
        };
        let mut before = before.clone();
        // What annotations say stands in the pod as if it were written there.
        let container = &mut before["spec"]["containers"][0];
        match name.as_str() {
            "stdio-http.yaml" => {
                container["command"] = json!(["mcp-server-git", "--repository", "/repository"])
            }
            "client-job.yaml" => {
                container["env"] =
                    json!([{"name": "DOCS_MCP_URL", "value": "http://docs.default.svc/mcp"}])
            }
            _ => {}
        }
        judge(&before, after, mode, target);
        takes_its_options(after);
    }
}

/// The program takes the options of each container of ours; only its check of the configuration runs.
fn takes_its_options(pod: &Value) {
    let folder = tempfile::tempdir().expect("it works");
    let spec = &pod["spec"];
    let all = spec["containers"]
        .as_array()
        .into_iter()
        .chain(spec["initContainers"].as_array())
        .flatten();
    for container in all {
        let words = |list: &Value| -> Vec<String> {
            let words = list.as_array().into_iter().flatten();
            words
                .map(|word| {
                    word.as_str()
                        .expect("a text")
                        .replace("$(POD_IP)", "10.0.0.1")
                })
                .collect()
        };
        let args = match words(&container["command"]).split_first() {
            Some((program, args)) if program == "/mcp-whittle-bin/mcp-whittle" => args.to_vec(),
            _ if container["image"] == "mcp-whittle:0.1.0" => words(&container["args"]),
            _ => continue,
        };
        if args.first().is_some_and(|word| word == "copy-self") {
            continue;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"));
        let state = format!("--state-dir={}", folder.path().display());
        command.args(["config", "check", "--json"]);
        command.args(args.iter().map(|arg| {
            if arg.starts_with("--state-dir=") {
                &state
            } else {
                arg
            }
        }));
        for variable in container["env"].as_array().into_iter().flatten() {
            let value = variable["value"]
                .as_str()
                .unwrap_or("http://127.0.0.1:1/mcp");
            command.env(variable["name"].as_str().expect("a name"), value);
        }
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn an_image_holds_the_binary_and_nothing_else() {
    let folder = tempfile::tempdir().expect("it works");
    let script = deploy().join("image/build-oci.py");
    let run = |binary: &Path, out: &str| {
        let mut given = std::ffi::OsString::from("amd64=");
        given.push(binary);
        Command::new("python3")
            .arg(&script)
            .args(["--version", "1.2.3", "--out"])
            .arg(folder.path().join(out))
            .arg("--binary")
            .arg(given)
            .output()
            .expect("python runs")
    };
    // The head of a static program for x86-64.
    let mut head = vec![0_u8; 64];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    head[16] = 2;
    head[18] = 62;
    let binary = folder.path().join("static");
    std::fs::write(&binary, &head).expect("it works");
    let first = run(&binary, "one.tar");
    assert!(first.status.success(), "{}", text(&first));
    assert!(run(&binary, "two.tar").status.success());
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("it works");
    assert_eq!(
        read("one.tar"),
        read("two.tar"),
        "the same input gives the same bytes"
    );
    let unpacked = folder.path().join("layout");
    std::fs::create_dir(&unpacked).expect("it works");
    let tar = |archive: &Path, into: &Path| {
        let status = Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(into)
            .status();
        assert!(status.expect("tar runs").success());
    };
    tar(&folder.path().join("one.tar"), &unpacked);
    let blob = |digest: &Value| {
        unpacked
            .join("blobs")
            .join(digest.as_str().expect("a digest").replace(':', "/"))
    };
    let json = |path: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(path).expect("it works")).expect("it works")
    };
    let index = json(&unpacked.join("index.json"));
    assert_eq!(text(&first).trim(), index["manifests"][0]["digest"]);
    let images = json(&blob(&index["manifests"][0]["digest"]));
    let manifest = json(&blob(&images["manifests"][0]["digest"]));
    let config = json(&blob(&manifest["config"]["digest"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    let root = folder.path().join("root");
    std::fs::create_dir(&root).expect("it works");
    tar(&blob(&manifest["layers"][0]["digest"]), &root);
    let files: Vec<_> = std::fs::read_dir(&root)
        .expect("it works")
        .map(|entry| entry.expect("it works").file_name())
        .collect();
    assert_eq!(files, ["mcp-whittle"]);
    assert_eq!(
        std::fs::read(root.join("mcp-whittle")).expect("it works"),
        head
    );
    // One that needs a loader would not start in there.
    let dynamic = run(Path::new(env!("CARGO_BIN_EXE_mcp-whittle")), "three.tar");
    assert!(
        text(&dynamic).contains("needs a dynamic loader\nhint: "),
        "{}",
        text(&dynamic)
    );
    assert!(!folder.path().join("three.tar").exists());
}
