//! Lists that several connections have alike are held once: of thousands of sessions with connections of
//! their own, each would else hold its server's whole answer. Never changes a byte of a list.

use std::collections::HashMap;

use bytes::Bytes;

use crate::upstream::List;

/// Lists that are remembered at a time.
const LISTS: usize = 64;
/// Bytes of one that is remembered.
const LARGEST: usize = 4 << 20;

/// The lists that were seen last, by their fingerprint.
#[derive(Debug, Default)]
pub(super) struct SameLists {
    known: HashMap<[u8; 32], (Vec<Bytes>, Bytes)>,
}

impl SameLists {
    /// Lets a list use the bytes of an equal one, or remembers it. Its fingerprint must be set.
    pub(super) fn share(&mut self, list: &mut List) {
        if let Some((items, template)) = self.known.get(&list.fingerprint) {
            // Equal items with other things around them are another answer.
            if *template == list.template && *items == list.items {
                list.items.clone_from(items);
                list.template = template.clone();
            }
            return;
        }
        let bytes = list.template.len() + list.items.iter().map(Bytes::len).sum::<usize>();
        if bytes > LARGEST {
            return;
        }
        if self.known.len() >= LISTS {
            self.known.clear();
        }
        self.known.insert(
            list.fingerprint,
            (list.items.clone(), list.template.clone()),
        );
    }

    /// Forgets everything: nobody is connected.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(around: &str, items: &[&str]) -> List {
        let mut list = List {
            items: items
                .iter()
                .map(|item| Bytes::from(item.to_string()))
                .collect(),
            template: Bytes::from(around.to_owned()),
            ..List::default()
        };
        list.fingerprint = list.digest();
        list
    }

    #[test]
    fn equal_lists_share_their_bytes_and_others_do_not() {
        let mut same = SameLists::default();
        let mut first = list("{}", &["a", "b"]);
        same.share(&mut first);
        let (mut second, mut other) = (list("{}", &["a", "b"]), list("{ }", &["a", "b"]));
        assert_ne!(first.items[0].as_ptr(), second.items[0].as_ptr());
        same.share(&mut second);
        assert_eq!(first.items[0].as_ptr(), second.items[0].as_ptr());
        assert_eq!(first.template.as_ptr(), second.template.as_ptr());
        same.share(&mut other);
        assert_eq!(other.template, "{ }");
        assert_ne!(first.items[0].as_ptr(), other.items[0].as_ptr());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut same = SameLists::default();
        for n in 0..1000 {
            same.share(&mut list(&n.to_string(), &[&n.to_string()]));
        }
        assert!(same.known.len() <= LISTS);
        same.share(&mut list(&"x".repeat(LARGEST + 1), &["large"]));
        assert!(
            same.known
                .values()
                .all(|(_, template)| template.len() < LARGEST)
        );
    }
}
