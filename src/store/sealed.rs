//! Values of shared tiers, encrypted and authenticated: whoever can write there can neither read an answer
//! nor make one. ChaCha20-Poly1305 (RFC 8439) under a key of its own for each name, with the name as
//! associated data, so that a value under another name, of another store or of another version is none.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Version, and what a value begins with.
const HEAD: &[u8] = b"whittle1";

/// Seals and opens values of one store.
#[derive(Clone)]
pub struct Sealer {
    secret: [u8; 32],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    /// Makes one for a store's secret; `purpose` keeps kinds of values apart.
    pub fn new(secret: &[u8; 32], purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("mcp-whittle 2026 sealed values");
        hasher.update(secret);
        hasher.update(purpose.as_bytes());
        Self {
            secret: *hasher.finalize().as_bytes(),
        }
    }

    /// A key of its own for each name: a random nonce is never used twice under one.
    fn key(&self, name: &[u8]) -> Option<LessSafeKey> {
        let key = blake3::keyed_hash(&self.secret, name);
        UnboundKey::new(&CHACHA20_POLY1305, key.as_bytes())
            .ok()
            .map(LessSafeKey::new)
    }

    /// Seals a value for a name; none where that fails, which is no reason to fail a request.
    pub fn seal(&self, name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce);
        let mut sealed = Vec::with_capacity(HEAD.len() + NONCE_LEN + value.len() + 16);
        sealed.extend_from_slice(HEAD);
        sealed.extend_from_slice(&nonce);
        let start = sealed.len();
        sealed.extend_from_slice(value);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from([HEAD, name].concat());
        let tag = self
            .key(name)?
            .seal_in_place_separate_tag(nonce, aad, &mut sealed[start..])
            .ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// Opens a value; none where a single bit differs, or it was sealed for another name or store.
    pub fn open(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let rest = sealed.strip_prefix(HEAD)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from([HEAD, name].concat());
        let mut body = body.to_vec();
        let length = self
            .key(name)?
            .open_in_place(nonce, aad, &mut body)
            .ok()?
            .len();
        body.truncate(length);
        Some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_store_and_name_open_it() {
        let sealer = Sealer::new(&[1; 32], "a");
        let sealed = sealer.seal(b"name", b"value").unwrap();
        assert_ne!(sealed, sealer.seal(b"name", b"value").unwrap());
        assert_eq!(sealer.open(b"name", &sealed).unwrap(), b"value");
        assert_eq!(sealer.open(b"other", &sealed), None);
        assert_eq!(Sealer::new(&[2; 32], "a").open(b"name", &sealed), None);
        assert_eq!(Sealer::new(&[1; 32], "b").open(b"name", &sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(sealer.open(b"name", &forged), None, "byte {at}");
            assert_eq!(sealer.open(b"name", &sealed[..at]), None, "cut at {at}");
        }
    }
}
