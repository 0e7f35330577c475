//! The chunked transfer coding (RFC 9112 section 7.1), read piece by piece. Pure.
//!
//! Gives the data of chunks as it comes and keeps none of it. Extensions and trailers are skipped within
//! bounds, whatever they say.

use std::ops::Range;

/// Most bytes of one size line, and of all trailers.
const LINE_BYTES: usize = 4 << 10;

/// What stands next in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Hexadecimal digits of a size; how many came.
    Size { value: u64, digits: u8 },
    /// The rest of a size line.
    Extension { value: u64 },
    /// Data of a chunk that is still to come.
    Data { left: u64 },
    /// The line's end behind a chunk's data.
    AfterData,
    /// Lines behind the last chunk; whether the current one is empty so far.
    Trailers { is_empty: bool },
    /// Nothing more.
    End,
}

/// The body is not in that coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its chunks are broken")]
pub(super) struct BrokenChunks;

/// Where a body stands.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    part: Part,
    /// Bytes of the current line, or of all trailers.
    line: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            part: Part::Size {
                value: 0,
                digits: 0,
            },
            line: 0,
        }
    }
}

impl Chunks {
    /// Whether the body came to its end.
    pub(super) fn is_over(&self) -> bool {
        self.part == Part::End
    }

    /// Reads `bytes` from `at` on, up to the next data. Returns where data stands in them, and moves `at`
    /// behind it; none when all was read.
    ///
    /// # Errors
    /// [`BrokenChunks`] for what is no chunk, or for lines without end.
    pub(super) fn next(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
    ) -> Result<Option<Range<usize>>, BrokenChunks> {
        while let Some(&byte) = bytes.get(*at) {
            if let Part::Data { left } = self.part {
                let there = (bytes.len() - *at) as u64;
                let size = there.min(left);
                // At most what is there, which is counted in memory.
                let end = *at + usize::try_from(size).map_err(|_| BrokenChunks)?;
                let data = *at..end;
                *at = end;
                self.part = match left - size {
                    0 => Part::AfterData,
                    left => Part::Data { left },
                };
                return Ok(Some(data));
            }
            if self.part == Part::End {
                return Ok(None);
            }
            *at += 1;
            self.line += 1;
            if self.line > LINE_BYTES {
                return Err(BrokenChunks);
            }
            self.part = self.step(byte)?;
        }
        Ok(None)
    }

    /// What stands behind a byte that is no data.
    fn step(&mut self, byte: u8) -> Result<Part, BrokenChunks> {
        Ok(match self.part {
            Part::Size { value, digits } => match (char::from(byte).to_digit(16), byte) {
                (Some(digit), _) if digits < 15 => Part::Size {
                    value: value << 4 | u64::from(digit),
                    digits: digits + 1,
                },
                (None, b'\n') if digits > 0 => self.behind_size(value),
                (None, b'\r' | b';' | b' ' | b'\t') if digits > 0 => Part::Extension { value },
                _ => return Err(BrokenChunks),
            },
            Part::Extension { value } if byte == b'\n' => self.behind_size(value),
            Part::AfterData => match byte {
                b'\r' => Part::AfterData,
                b'\n' => {
                    self.line = 0;
                    Part::Size {
                        value: 0,
                        digits: 0,
                    }
                }
                _ => return Err(BrokenChunks),
            },
            Part::Trailers { is_empty: true } if byte == b'\n' => Part::End,
            Part::Trailers { is_empty } => Part::Trailers {
                is_empty: byte == b'\n' || is_empty && byte == b'\r',
            },
            part @ (Part::Extension { .. } | Part::Data { .. } | Part::End) => part,
        })
    }

    fn behind_size(&mut self, value: u64) -> Part {
        self.line = 0;
        match value {
            0 => Part::Trailers { is_empty: true },
            left => Part::Data { left },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool), BrokenChunks> {
        let (mut chunks, mut data) = (Chunks::default(), Vec::new());
        for piece in pieces {
            let mut at = 0;
            while let Some(range) = chunks.next(piece, &mut at)? {
                data.extend_from_slice(&piece[range]);
            }
        }
        Ok((data, chunks.is_over()))
    }

    #[test]
    fn chunks_extensions_and_trailers() {
        let body = b"3\r\nabc\r\n0A ;x=\"1\"\r\n0123456789\r\n0\r\nX: y\r\n\r\nmore";
        assert_eq!(read(&[body]), Ok((b"abc0123456789".to_vec(), true)));
        assert_eq!(read(&[b"3\nabc\n0\n\n"]), Ok((b"abc".to_vec(), true)));
        assert_eq!(read(&[b"3\r\nab"]), Ok((b"ab".to_vec(), false)));
        assert_eq!(read(&[b"0\r\n"]), Ok((Vec::new(), false)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let endless = [b"1;".to_vec(), vec![b'x'; LINE_BYTES]].concat();
        let trailers = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(LINE_BYTES)].concat();
        for body in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"1\r\nabc",
            b"1g\r\n",
            b"ffffffffffffffff\r\n",
            &endless,
            &trailers,
        ] {
            assert_eq!(
                read(&[body]),
                Err(BrokenChunks),
                "{:?}",
                body.get(..20.min(body.len()))
            );
        }
    }

    proptest! {
        /// Wherever the bytes are cut. A reader that forgets how many digits of a size it saw fails here.
        #[test]
        fn pieces_make_no_difference(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(1usize..20, 1..30),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let (mut pieces, mut rest) = (Vec::new(), &body[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(read(&pieces), Ok((chunks.concat(), true)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }
    }
}
