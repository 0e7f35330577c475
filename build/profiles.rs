//! What is known of clients, each as JSON: people write TOML, which each start would have to read, and a start
//! needs what is known of one of them.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

/// Writes `profiles.rs`: `PROFILES`, names with what is known as JSON, and `HOSTS`, variables with the value they
/// have to have and the place of the profile.
pub(crate) fn write(root: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let source = root.join("src/config/profiles.toml");
    println!("cargo:rerun-if-changed={}", source.display());
    let document: toml::Table = toml::from_str(&std::fs::read_to_string(source)?)?;
    let profiles = array(&document, "profile");
    let (mut all, mut hosts) = (String::new(), String::new());
    let mut n_hosts = 0;
    for (place, profile) in profiles.iter().enumerate() {
        let profile = profile.as_table().ok_or("a profile is a table")?;
        let name = text(profile, "name").ok_or("a profile has a name")?;
        writeln!(all, "({name:?}, {:?}),", serde_json::to_string(profile)?)?;
        for host in array(profile, "environment") {
            let host = host.as_table().ok_or("a variable is a table")?;
            let variable = text(host, "variable").ok_or("a variable has a name")?;
            writeln!(hosts, "({variable:?}, {:?}, {place}),", text(host, "value"))?;
            n_hosts += 1;
        }
    }
    let text = format!(
        "const PROFILES: [(&str, &str); {}] = [\n{all}];\n\
         const HOSTS: [(&str, Option<&str>, usize); {n_hosts}] = [\n{hosts}];\n",
        profiles.len()
    );
    std::fs::write(out.join("profiles.rs"), text)?;
    Ok(())
}

fn array<'a>(table: &'a toml::Table, key: &str) -> &'a [toml::Value] {
    let array = table.get(key).and_then(toml::Value::as_array);
    array.map_or(&[], Vec::as_slice)
}

fn text<'a>(table: &'a toml::Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(toml::Value::as_str)
}
