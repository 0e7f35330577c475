//! Encryption at rest: ChaCha20-Poly1305 (RFC 8439) with a key from a file of the operator.
//!
//! Each handle has a key of its own, so a random nonce of 96 bits is never near its limit.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::result::handle::Handle;

/// Bytes of a key file, at least.
const LEAST: usize = 32;
/// Bytes of a key file, at most; what is longer is no key.
const MOST: u64 = 4096;

/// Closes and opens stored results.
pub(super) struct Seal {
    key: [u8; 32],
}

impl Seal {
    /// Reads a key file: at least 32 bytes that nobody can guess, in any form.
    pub(super) fn from_file(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        file.take(MOST + 1).read_to_end(&mut bytes)?;
        let key = bytes.trim_ascii();
        if key.len() < LEAST || bytes.len() as u64 > MOST {
            return Err(io::Error::other(format!(
                "a key has {LEAST} to {MOST} bytes; this file has {}",
                key.len()
            )));
        }
        Ok(Self {
            key: blake3::derive_key("mcp-whittle 2026 results at rest", key),
        })
    }

    pub(super) fn nonce() -> [u8; NONCE_LEN] {
        rand::random()
    }

    fn key(&self, handle: &Handle) -> Option<LessSafeKey> {
        let key = blake3::keyed_hash(&self.key, handle.as_bytes());
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_bytes()).ok()?;
        Some(LessSafeKey::new(key))
    }

    fn associated(handle: &Handle, associated: &[u8]) -> Vec<u8> {
        [&handle.as_bytes()[..], associated].concat()
    }

    /// Seals in place; the tag is at the end.
    pub(super) fn close(
        &self,
        handle: &Handle,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        body: &mut Vec<u8>,
    ) -> Option<()> {
        let aad = Aad::from(Self::associated(handle, associated));
        self.key(handle)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, body)
            .ok()
    }

    /// Opens what [`Self::close`] made; none for anything else.
    pub(super) fn open(
        &self,
        handle: &Handle,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        body: &[u8],
    ) -> Option<Bytes> {
        let aad = Aad::from(Self::associated(handle, associated));
        let mut body = body.to_vec();
        let n = self
            .key(handle)?
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .ok()?
            .len();
        body.truncate(n);
        Some(body.into())
    }
}
