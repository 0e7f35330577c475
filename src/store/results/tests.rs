use super::*;

const CONTENT: &[u8] = br#"{"content":[{"type":"text","text":"a\u00e9"}],"x":9007199254740993}"#;

fn meta() -> Meta {
    Meta {
        server: "files".into(),
        tool: "files__read".into(),
        arguments: Some("{}".into()),
        view: View::Structured,
    }
}

fn options(max_bytes: u64) -> ResultOptions {
    ResultOptions {
        max_bytes,
        ..ResultOptions::default()
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + seconds)
}

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn open(&self, options: ResultOptions) -> ResultStore {
        let store = Store::open(self.folder.path()).unwrap();
        ResultStore::open(Some(&store), options).unwrap()
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("v1/results")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.results()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_result_comes_back_byte_for_byte_in_another_process_too() {
    let place = Scratch::new();
    let handle = place
        .open(options(1 << 20))
        .put("user", CONTENT, &meta())
        .unwrap();
    let again = place.open(options(1 << 20));
    let stored = again.get("user", &handle).unwrap();
    assert_eq!((&stored.content[..], stored.meta), (CONTENT, meta()));
    assert_eq!(again.put("user", CONTENT, &meta()).unwrap(), handle);
    assert_eq!(again.stats().unwrap().count, 1);
    let path = place.results().join(handle.to_string());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(again.purge().unwrap().count, 1);
    assert!(again.get("user", &handle).is_none());
    assert_eq!(again.stats().unwrap(), Stats::default());
}

/// Broken variants that this catches: the view is no part of the name, so that the last writer decides what others
/// read, and entries whose name does not have it are thrown away.
#[test]
fn one_result_is_kept_for_each_view_of_it() {
    let place = Scratch::new();
    let in_view = |view| Meta { view, ..meta() };
    let views = [View::Text, View::Structured, View::Both];
    for results in [
        place.open(options(1 << 20)),
        ResultStore::open(None, options(1 << 20)).unwrap(),
    ] {
        let handles = views.map(|view| results.put("user", CONTENT, &in_view(view)).unwrap());
        for (handle, view) in handles.iter().zip(views) {
            let stored = results.get("user", handle).unwrap();
            assert_eq!((&stored.content[..], stored.meta.view), (CONTENT, view));
        }
        let secret = &results.shared.secret;
        assert_eq!(handles[0], Handle::of(secret, "user", CONTENT));
    }
    // As it was written before: under the one name for all views.
    let results = place.open(options(1 << 20));
    let name = Handle::of(&results.shared.secret, "user", CONTENT);
    let ttl = Duration::from_secs(60);
    let old = in_view(View::Structured);
    let file = results
        .keys()
        .encode(&name, "user", CONTENT, &old, (at(0), ttl))
        .unwrap();
    fs::write(place.results().join(name.to_string()), file).unwrap();
    let stored = results.get_at(at(1), "user", &name).unwrap();
    assert_eq!(stored.meta, old);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let place = Scratch::new();
    let results = place.open(options(1 << 20));
    let handle = results
        .put_at(at(1_000_000), "user", CONTENT, &meta())
        .unwrap();
    assert!(results.get_at(at(0), "user", &handle).is_some());
    assert!(
        results
            .get_at(SystemTime::UNIX_EPOCH, "user", &handle)
            .is_some()
    );
    assert!(results.get_at(at(1_000_000_000), "user", &handle).is_none());
}

#[test]
fn an_expired_a_foreign_and_an_unknown_handle_look_the_same() {
    let place = Scratch::new();
    for results in [
        place.open(options(1 << 20)),
        ResultStore::open(None, options(1 << 20)).unwrap(),
    ] {
        let handle = results.put_at(at(0), "user", CONTENT, &meta()).unwrap();
        let ttl = ResultOptions::default().ttl.as_secs();
        assert!(results.get_at(at(ttl - 1), "user", &handle).is_some());
        assert!(results.get_at(at(1), "loopback", &handle).is_none());
        assert!(results.get_at(at(1), "user", &handle).is_some(), "it stays");
        let unknown = Handle::of(&[7; 32], "user", CONTENT);
        assert!(results.get_at(at(1), "user", &unknown).is_none());
        assert!(results.get_at(at(ttl), "user", &handle).is_none());
        assert!(
            results.get_at(at(1), "user", &handle).is_none(),
            "it is gone"
        );
        // Stored again, its time begins anew.
        assert_eq!(
            results.put_at(at(ttl), "user", CONTENT, &meta()).unwrap(),
            handle
        );
        assert!(results.get_at(at(2 * ttl - 1), "user", &handle).is_some());
    }
}

#[test]
fn damage_is_a_miss_wherever_it_is() {
    let place = Scratch::new();
    let results = place.open(options(1 << 20));
    let handle = results.put("user", CONTENT, &meta()).unwrap();
    let path = place.results().join(handle.to_string());
    let good = fs::read(&path).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let mut broken: Vec<Vec<u8>> = vec![
        Vec::new(),
        good[..good.len() / 2].to_vec(),
        good[..10].to_vec(),
        [&good[..], b" "].concat(),
        text.replace("\"format\":1", "\"format\":2").into_bytes(),
        text.replace("\"ttl\":86400", "\"ttl\":96400").into_bytes(),
        text.replace("files__read", "files__rm").into_bytes(),
        b"{}\n{}\n{}".to_vec(),
        vec![0xff; 100_000],
    ];
    for bit in 0..good.len() {
        let mut changed = good.clone();
        changed[bit] ^= 1;
        broken.push(changed);
    }
    for broken in broken {
        fs::write(&path, &broken).unwrap();
        assert!(results.get("user", &handle).is_none());
        assert!(!path.exists(), "rubbish is removed");
    }
    fs::write(&path, &good).unwrap();
    assert!(results.get("user", &handle).is_some());
    // A file that stands under another name.
    let other = Handle::of(&[7; 32], "user", CONTENT);
    fs::rename(&path, place.results().join(other.to_string())).unwrap();
    assert!(results.get("user", &other).is_none());
    // Neither links nor folders are followed.
    let link = place.results().join(handle.to_string());
    fs::write(place.folder.path().join("elsewhere"), &good).unwrap();
    std::os::unix::fs::symlink(place.folder.path().join("elsewhere"), &link).unwrap();
    assert!(results.get("user", &handle).is_none());
    fs::remove_file(&link).unwrap();
    fs::create_dir(&link).unwrap();
    assert!(results.get("user", &handle).is_none());
    assert!(results.put("user", CONTENT, &meta()).is_err());
}

#[test]
fn a_store_with_another_secret_has_other_handles() {
    let (one, two) = (Scratch::new(), Scratch::new());
    let handle = one
        .open(options(1 << 20))
        .put("user", CONTENT, &meta())
        .unwrap();
    let other = two.open(options(1 << 20));
    assert_ne!(other.handle("user", CONTENT, meta().view), handle);
    let from = one.results().join(handle.to_string());
    fs::copy(from, two.results().join(handle.to_string())).unwrap();
    assert!(other.get("user", &handle).is_none());
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let place = Scratch::new();
    let results = place.open(options(100_000));
    let content = |n: usize| format!("{n:05}").repeat(2_000).into_bytes();
    let mut handles = Vec::new();
    for n in 0..14 {
        if n == 8 {
            assert!(results.get_at(at(7), "user", &handles[0]).is_some());
        }
        let now = at(n as u64);
        let handle = results.put_at(now, "user", &content(n), &meta()).unwrap();
        // Files are as old as the virtual clock says.
        let file = fs::File::open(place.results().join(handle.to_string())).unwrap();
        file.set_modified(now).unwrap();
        handles.push(handle);
    }
    let is_there = |n: usize| results.get_at(at(300), "user", &handles[n]).is_some();
    assert!(is_there(0), "it was read not long ago");
    assert!(!is_there(1) && !is_there(2) && is_there(13));
    let stats = results.stats().unwrap();
    assert!(stats.bytes <= 100_000 + 100_000 / 16, "{stats:?}");
    let error = results.put("user", &[b'x'; 100_001], &meta()).unwrap_err();
    assert!(error.to_string().contains("results.max_bytes"), "{error}");
}

#[test]
fn tiny_results_are_bounded_in_number_and_rubbish_goes() {
    let place = Scratch::new();
    let results = place.open(options(40 * FILE_COSTS));
    fs::write(place.results().join("r_half.12-00ff"), "half").unwrap();
    let old = fs::File::open(place.results().join("r_half.12-00ff")).unwrap();
    old.set_modified(at(0)).unwrap();
    for n in 0..200 {
        let content = format!("{n}");
        results
            .put_at(at(9000 + n), "user", content.as_bytes(), &meta())
            .unwrap();
    }
    let names = place.names();
    assert!(names.len() <= 44, "{}", names.len());
    assert!(!names.contains(&"r_half.12-00ff".to_owned()));
    let memory = ResultStore::open(None, options(40 * FILE_COSTS)).unwrap();
    for n in 0..200 {
        memory
            .put("user", format!("{n}").as_bytes(), &meta())
            .unwrap();
    }
    assert_eq!(memory.stats().unwrap().count, 40);
    assert_eq!(memory.purge().unwrap().count, 40);
}

#[test]
fn a_key_seals_everything_and_another_one_opens_nothing() {
    let place = Scratch::new();
    let key = place.folder.path().join("key");
    fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    let sealed = ResultOptions {
        key_file: Some(key.clone()),
        ..options(1 << 20)
    };
    let results = place.open(sealed.clone());
    let secret = br#"{"content":[{"type":"text","text":"the canary sings"}]}"#;
    let handle = results.put("user", secret, &meta()).unwrap();
    let path = place.results().join(handle.to_string());
    let file = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
    assert!(!file.contains("canary") && !file.contains("files__read"));
    assert_eq!(
        place
            .open(sealed.clone())
            .get("user", &handle)
            .unwrap()
            .content,
        &secret[..]
    );
    // Without the key, or with another one, it is a miss, and the file stays for who has it.
    assert!(place.open(options(1 << 20)).get("user", &handle).is_none());
    let plain = place
        .open(options(1 << 20))
        .put("user", CONTENT, &meta())
        .unwrap();
    assert!(results.get("user", &plain).is_none());
    assert!(results.get("user", &handle).is_some());
    fs::write(&key, "another key, another key, another key").unwrap();
    assert!(place.open(sealed.clone()).get("user", &handle).is_none());
    fs::write(&key, "short").unwrap();
    let store = Store::open(place.folder.path()).unwrap();
    for path in [key, place.folder.path().join("none"), "/dev/zero".into()] {
        let options = ResultOptions {
            key_file: Some(path.clone()),
            ..options(1 << 20)
        };
        let error = ResultStore::open(Some(&store), options).err().unwrap();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    let place = Scratch::new();
    let store = Store::open(place.folder.path()).unwrap();
    fs::write(place.results(), "in the way").unwrap();
    let error = ResultStore::open(Some(&store), options(1)).err().unwrap();
    assert!(error.to_string().contains("results"), "{error}");
    fs::remove_file(place.results()).unwrap();
    let results = place.open(options(1 << 20));
    fs::remove_dir(place.results()).unwrap();
    assert!(matches!(
        results.put("user", CONTENT, &meta()),
        Err(ResultStoreError::Write { .. })
    ));
    assert!(results.stats().is_err());
    fs::create_dir(place.results()).unwrap();
    fs::set_permissions(place.results(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(ResultStore::open(Some(&store), options(1)).is_err());
}

#[test]
fn many_writers_and_readers_share_a_folder() {
    let place = Scratch::new();
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let results = place.open(options(60 * FILE_COSTS));
            std::thread::spawn(move || {
                for round in 0..50 {
                    let content = format!("{}", (round * 7 + n) % 40).repeat(500);
                    let handle = results.put("user", content.as_bytes(), &meta()).unwrap();
                    if let Some(stored) = results.get("user", &handle) {
                        assert_eq!(stored.content, content.as_bytes());
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(place.names().len() <= 60 + 4 * 4);
}
