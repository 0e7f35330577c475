//! Frames that wait to be written to one peer, counted in bytes.
//!
//! Frames leave in the order they came, with one exception towards clients: small ones pass a large one
//! whose writing has not begun, so that a result of 100 MB does not hold up 200 small answers. Towards
//! servers the order is kept: a cancellation must not pass the request it is about.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::jsonrpc::write::Outgoing;

/// A frame of this many bytes is large.
const LARGE: usize = 1 << 20;

/// Places of an empty queue that are kept for the next frames.
const KEEP_PLACES: usize = 256;

/// The queue. Locking and waking are its owner's.
#[derive(Debug, Default)]
pub struct FrameQueue {
    small: VecDeque<(u64, Outgoing)>,
    large: VecDeque<(u64, Outgoing)>,
    next: u64,
    bytes: usize,
    keeps_order: bool,
}

impl FrameQueue {
    /// Makes a queue in which nothing passes anything.
    pub fn in_order() -> Self {
        Self {
            keeps_order: true,
            ..Self::default()
        }
    }

    /// Appends a frame.
    pub fn push(&mut self, message: Outgoing) {
        let size = message.len() + 1;
        self.bytes += size;
        let number = self.next;
        self.next += 1;
        if size > LARGE {
            self.large.push_back((number, message));
        } else {
            self.small.push_back((number, message));
        }
    }

    /// Takes what is written next: small frames together up to `limit` bytes, or one large frame. Each
    /// frame ends with a newline.
    pub fn take(&mut self, limit: usize) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut taken = 0;
        let first_large = self.large.front().map(|(number, _)| *number);
        while let Some((number, message)) = self.small.front() {
            if self.keeps_order && first_large.is_some_and(|large| large < *number) {
                break;
            }
            let size = message.len() + 1;
            if taken > 0 && taken + size > limit {
                break;
            }
            taken += size;
            if let Some((_, message)) = self.small.pop_front() {
                pieces.extend(message.into_pieces());
                pieces.push(Bytes::from_static(b"\n"));
            }
        }
        if pieces.is_empty()
            && let Some((_, message)) = self.large.pop_front()
        {
            taken = message.len() + 1;
            pieces.extend(message.into_pieces());
            pieces.push(Bytes::from_static(b"\n"));
        }
        self.bytes -= taken;
        // A burst that a slow peer let grow is over.
        if self.small.is_empty() {
            self.small.shrink_to(KEEP_PLACES);
        }
        pieces
    }

    /// Returns how many bytes wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_frames_pass_large_ones_and_keep_their_order() {
        let mut queue = FrameQueue::default();
        queue.push(vec![b'L'; LARGE].into());
        for text in ["a", "b", "c"] {
            queue.push(text.as_bytes().to_vec().into());
        }
        assert_eq!(queue.bytes(), LARGE + 1 + 6);
        assert_eq!(queue.take(4).concat(), b"a\nb\n");
        assert_eq!(queue.take(4).concat(), b"c\n");
        assert_eq!(queue.take(4).concat().len(), LARGE + 1);
        assert!(queue.is_empty() && queue.bytes() == 0);
    }

    #[test]
    fn a_burst_that_is_over_leaves_no_room_behind() {
        let mut queue = FrameQueue::in_order();
        for _ in 0..KEEP_PLACES * 20 {
            queue.push(b"a".to_vec().into());
        }
        assert!(queue.small.capacity() >= KEEP_PLACES * 20);
        while !queue.is_empty() {
            queue.take(100);
        }
        assert!(queue.small.capacity() < KEEP_PLACES * 3);
    }

    #[test]
    fn in_order_nothing_passes_anything() {
        let mut queue = FrameQueue::in_order();
        queue.push(b"a".to_vec().into());
        queue.push(vec![b'L'; LARGE].into());
        queue.push(b"b".to_vec().into());
        assert_eq!(queue.take(100).concat(), b"a\n");
        assert_eq!(queue.take(100).concat().len(), LARGE + 1);
        assert_eq!(queue.take(100).concat(), b"b\n");
        assert!(queue.is_empty() && queue.bytes() == 0);
    }
}
