//! Programs of models over stored results: what they can do, and how those end that would not.

use std::path::Path;
use std::time::{Duration, Instant};

use mcp_whittle::jq::{JqError, run};

const LIMIT: Duration = Duration::from_secs(2);

async fn jq(program: &str, input: &str) -> Result<String, JqError> {
    let own = Path::new(env!("CARGO_BIN_EXE_mcp-whittle"));
    run(own, program, input, LIMIT).await
}

#[tokio::test]
async fn programs_select_and_digits_stay() {
    let input = r#"{"b":1.10,"a":9007199254740993,"e":1e1000,"list":[{"n":"x","v":1},{"n":"y","v":2}],"z":{"k":1,"c":2}}"#;
    for (program, expected) in [
        (
            ".",
            "{\"b\":1.10,\"a\":9007199254740993,\"e\":1e1000,\"list\":[{\"n\":\"x\",\"v\":1},{\"n\":\"y\",\"v\":2}],\"z\":{\"k\":1,\"c\":2}}\n",
        ),
        (".b, .a", "1.10\n9007199254740993\n"),
        (".list | map(select(.v > 1)) | length", "1\n"),
        ("[.list[].v] | add", "3\n"),
        (".list[] | \"\\(.n)=\\(.v)\"", "\"x=1\"\n\"y=2\"\n"),
        ("empty", ""),
        ("limit(2; repeat(1))", "1\n1\n"),
        ("[.list[] | .n | test(\"X\"; \"i\")]", "[true,false]\n"),
        (
            ".list | group_by(.n) | map({(.[0].n): length}) | add",
            "{\"x\":1,\"y\":1}\n",
        ),
    ] {
        assert_eq!(
            jq(program, input).await.as_deref(),
            Ok(expected),
            "{program}"
        );
    }
}

#[tokio::test]
async fn nothing_outside_of_the_input_can_be_reached() {
    for program in [
        "env",
        "$ENV",
        "input",
        "inputs",
        "input_filename",
        "now",
        "halt",
        "debug",
        "stderr",
        "get_search_list",
        "$__prog_args",
        "include \"a\"; .",
        "import \"a\" as a; .",
        "import \"/etc/hostname\" as $d; $d",
    ] {
        let error = jq(program, "{}").await.unwrap_err();
        assert!(
            matches!(error, JqError::Unreadable(_) | JqError::Failed(_)),
            "{program}: {error}"
        );
    }
    let error = jq(".[", "{}").await.unwrap_err().to_string();
    assert!(
        error.starts_with("the program cannot be read: expected"),
        "{error}"
    );
    let error = jq("foo", "{}").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the program cannot be read: there is no filter `foo`"
    );
    let error = jq(".a.b", r#"{"a":1}"#).await.unwrap_err().to_string();
    assert!(error.contains("cannot index 1 with \"b\""), "{error}");
    let error = jq("error(\"my words\")", "{}")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("my words"), "{error}");
}

#[tokio::test]
async fn what_does_not_end_is_ended_with_a_reason() {
    let started = Instant::now();
    for program in [
        "def f: f; f",
        "[range(1e12)] | length",
        "repeat(.)",
        "last(repeat(.))",
        "def f: 1 + f; f",
        "\"a\" * 1000000000000 | length",
        "[limit(100000000; repeat(\"x\" * 100))] | length",
        "[range(1e9)] | map(tostring) | add | length",
    ] {
        let error = jq(program, "{}").await.unwrap_err();
        assert!(
            matches!(
                error,
                JqError::Slow(_) | JqError::Memory | JqError::Deep | JqError::Output
            ),
            "{program}: {error:?}"
        );
    }
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    assert!(jq("length", &deep).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_is_killed() {
    let own = Path::new(env!("CARGO_BIN_EXE_mcp-whittle"));
    let long = Duration::from_secs(600);
    let marker = format!("def f: f; \"{}\" | f", std::process::id());
    let running = tokio::spawn(async move { run(own, &marker, "{}", long).await });
    let children = || {
        let mine = std::process::id().to_string();
        std::fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|entry| {
                let read = |name: &str| std::fs::read_to_string(entry.path().join(name));
                let is_jq = read("cmdline").is_ok_and(|line| line.contains("__jq\u{0}601"));
                let parent = read("stat").ok().and_then(|stat| {
                    let rest = stat.rsplit(')').next()?.to_owned();
                    rest.split_whitespace().nth(1).map(str::to_owned)
                });
                is_jq && parent.as_deref() == Some(mine.as_str())
            })
            .count()
    };
    let wait = async |wanted: usize| {
        for _ in 0..200 {
            if children() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} children, not {wanted}", children());
    };
    wait(1).await;
    running.abort();
    wait(0).await;
}
