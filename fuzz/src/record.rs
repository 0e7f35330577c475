//! Values of shared tiers (files, Redis): what is read from one is exactly what was put there, and what
//! somebody else made up, or one bit of which differs, is nothing.

use mcp_whittle::cache::record::Record;
use mcp_whittle::search::Table;
use mcp_whittle::store::sealed::Sealer;

const NAME: &[u8] = b"name";

/// The property for one input; panics where it does not hold.
pub fn run(data: &[u8]) {
    let sealer = Sealer::new(&[7; 32], "fuzzing");
    check(data, |sealed| sealer.open(NAME, sealed));
    if let Some(record) = Record::of_bytes(data) {
        assert_eq!(
            record.to_bytes().as_deref(),
            Some(data),
            "written in another way"
        );
        let _ = record.age(u64::MAX);
        let _ = record.age(0);
    }
    table(data);
}

/// The property for what opens values that were sealed.
pub fn check(data: &[u8], open: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    let sealer = Sealer::new(&[7; 32], "fuzzing");
    assert_eq!(open(data), None, "nobody sealed this");
    let mut sealed = sealer.seal(NAME, data).expect("anything can be sealed");
    assert_eq!(open(&sealed).as_deref(), Some(data));
    let Some(&choice) = data.first() else { return };
    let at = usize::from(choice) % sealed.len();
    sealed[at] ^= 1 << (choice % 8);
    assert_eq!(open(&sealed), None, "byte {at} was changed");
}

/// Tables of word vectors: two files of a folder that the operator names.
fn table(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let tokenizer = String::from_utf8_lossy(&data[..end]);
    let weights = data.get(end + 1..).unwrap_or_default();
    match Table::parse(weights, &tokenizer) {
        Ok(table) => assert!(table.n_tokens() <= weights.len() + tokenizer.len()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
