//! Lists that several connections have alike are held once: of thousands of sessions with connections of
//! their own, each would else hold its server's whole answer. Never changes a byte of a list.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::upstream::List;

use super::naming::Target;

/// Lists that are remembered at a time.
const LISTS: usize = 64;
/// Bytes of one that is remembered.
const LARGEST: usize = 4 << 20;

/// The lists that were seen last, by their fingerprint.
#[derive(Debug, Default)]
pub(super) struct SameLists {
    known: HashMap<[u8; 32], Arc<List>>,
}

impl SameLists {
    /// Returns the equal list that is remembered, or remembers this one. Its fingerprint must be set.
    pub(super) fn share(&mut self, list: impl Into<Arc<List>>) -> Arc<List> {
        let list = list.into();
        if let Some(known) = self.known.get(&list.fingerprint) {
            // Equal items with other things around them are another answer.
            return if *known == list {
                Arc::clone(known)
            } else {
                list
            };
        }
        let bytes = list.template.len() + list.items.iter().map(Bytes::len).sum::<usize>();
        if bytes > LARGEST {
            return list;
        }
        if self.known.len() >= LISTS {
            self.known.clear();
        }
        self.known.insert(list.fingerprint, Arc::clone(&list));
        list
    }

    /// Forgets everything: nobody is connected.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }
}

/// Tables of names that are remembered at a time.
const TABLES: usize = 8;

/// What names of tools mean, which several sets have alike too.
#[derive(Debug, Default)]
pub(super) struct SameNames {
    known: VecDeque<Arc<HashMap<String, Target>>>,
}

impl SameNames {
    /// Returns the equal table that is remembered, or remembers this one.
    pub(super) fn share(
        &mut self,
        table: Arc<HashMap<String, Target>>,
    ) -> Arc<HashMap<String, Target>> {
        if let Some(known) = self.known.iter().find(|known| **known == table) {
            return Arc::clone(known);
        }
        if self.known.len() >= TABLES {
            self.known.pop_front();
        }
        self.known.push_back(Arc::clone(&table));
        table
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
    fn equal_lists_are_one_and_others_are_not() {
        let mut same = SameLists::default();
        let first = same.share(list("{}", &["a", "b"]));
        let second = same.share(list("{}", &["a", "b"]));
        assert!(Arc::ptr_eq(&first, &second));
        let other = same.share(list("{ }", &["a", "b"]));
        assert_eq!(other.template, "{ }");
        let mut cut = list("{}", &["a", "b"]);
        cut.is_truncated = true;
        assert!(same.share(cut).is_truncated);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut same = SameLists::default();
        for n in 0..1000 {
            same.share(list(&n.to_string(), &[&n.to_string()]));
        }
        assert!(same.known.len() <= LISTS);
        same.share(list(&"x".repeat(LARGEST + 1), &["large"]));
        assert!(
            same.known
                .values()
                .all(|known| known.template.len() < LARGEST)
        );
    }

    #[test]
    fn equal_tables_of_names_are_one() {
        let table = |name: &str| {
            let target = Target {
                server: 0,
                name: name.to_owned(),
            };
            Arc::new(HashMap::from([(name.to_owned(), target)]))
        };
        let mut same = SameNames::default();
        let first = same.share(table("a"));
        assert!(Arc::ptr_eq(&first, &same.share(table("a"))));
        assert!(!Arc::ptr_eq(&first, &same.share(table("b"))));
        for n in 0..100 {
            same.share(table(&n.to_string()));
        }
        assert!(same.known.len() <= TABLES);
    }
}
