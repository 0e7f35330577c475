//! The command `inject`.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `inject` with manifests on stdin; returns code, stdout and stderr.
pub(super) fn inject(args: &[&str], manifest: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["inject", "-f", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(manifest.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

const POD: &str = "kind: Pod
metadata: {name: docs, labels: {mcp-whittle.dev/inject: enabled}}
spec:
  containers:
  - name: app
    ports: [{name: mcp, containerPort: 8080}]
";

#[test]
fn says_what_became_of_each_pod() {
    let (code, out, told) = inject(&["--image", "r/w@sha256:1"], POD);
    assert_eq!(code, Some(0), "{told}");
    assert!(out.contains("image: r/w@sha256:1\n"), "{out}");
    assert!(out.contains("restartPolicy: Always"), "{out}");
    assert!(told.contains("Pod/docs: injected (server)"), "{told}");
    let (_, again, told) = inject(&[], &out);
    assert_eq!(again, out);
    assert!(
        told.contains("left alone: the pod is injected already"),
        "{told}"
    );
    let (_, old, _) = inject(&["--kubernetes=v1.28.3"], POD);
    assert!(!old.contains("restartPolicy: Always"), "{old}");
}

#[test]
fn labels_select() {
    let pod = POD.replace("mcp-whittle.dev/inject: enabled", "a: b");
    let (code, out, told) = inject(&[], &pod);
    assert_eq!((code, out.as_str()), (Some(0), pod.as_str()));
    assert!(
        told.contains("no label `mcp-whittle.dev/inject: enabled`"),
        "{told}"
    );
    assert!(inject(&["--all"], &pod).1.contains("15180"));
    let disabled = pod.replace("a: b", "mcp-whittle.dev/inject: disabled");
    assert_eq!(inject(&["--all"], &disabled).1, disabled);
}

#[test]
fn nothing_half_done_is_printed() {
    let wrong = format!("{POD}---\n{POD}").replacen(
        "labels:",
        "annotations: {mcp-whittle.dev/prot: x}, labels:",
        1,
    );
    let (code, out, told) = inject(&[], &wrong);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        told.starts_with("error: -: Pod/docs: the annotation `mcp-whittle.dev/prot` is unknown\nhint: these are known: mode, "),
        "{told}"
    );
    let (code, _, told) = inject(&[], "a: 1\n b: [\n");
    assert_eq!(code, Some(1));
    assert!(
        told.contains("not valid YAML in line 2") && told.contains("\nhint: "),
        "{told}"
    );
    let missing = Command::new(env!("CARGO_BIN_EXE_mcp-whittle"))
        .args(["inject", "-f", "/nowhere/x"])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&missing.stderr);
    assert!(
        told.starts_with("error: cannot read `/nowhere/x`"),
        "{told}"
    );
    assert_eq!(inject(&["--prefix", "a/b"], "").0, Some(2));
    assert_eq!(inject(&["--kubernetes", "new"], "").0, Some(2));
}

#[test]
fn the_program_copies_itself() {
    let folder = tempfile::tempdir().expect("it works");
    let to = folder.path().join("mcp-whittle");
    let run = |program: &std::path::Path, args: &[&std::ffi::OsStr]| {
        Command::new(program).args(args).output().expect("it runs")
    };
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_mcp-whittle"));
    let done = run(program, &["copy-self".as_ref(), to.as_os_str()]);
    assert!(done.status.success() && done.stdout.is_empty());
    assert!(
        run(&to, &["--version".as_ref()])
            .stdout
            .starts_with(b"mcp-whittle ")
    );
    let nowhere = run(program, &["copy-self".as_ref(), "/nowhere/x".as_ref()]);
    assert_eq!(nowhere.status.code(), Some(1));
}
