//! JSON Patch (RFC 6902): the three operations we use, and a builder that applies each one to a copy
//! as it is made. Pure.
//!
//! No `test`: one that fails rejects the pod, even under `failurePolicy: Ignore`. No `move` or `copy`:
//! what the audit log shows is then what was written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::pointer::Pointer;

/// One operation, as it stands in a patch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Operation {
    /// Puts a value where none is, or before the element of an array.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Puts a value in another one's place.
    Replace {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Takes a value away.
    Remove {
        /// Where.
        path: String,
    },
}

/// Why an operation does not fit a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// There is nothing at the place, or at the one that should hold it.
    #[error("there is nothing at `{0}`")]
    Missing(String),
    /// An array has no such place.
    #[error("`{0}` is no place of the array")]
    Index(String),
    /// The place cannot hold members.
    #[error("`{0}` lies in something that is neither an object nor an array")]
    NotContainer(String),
    /// The whole document would go.
    #[error("the whole document cannot be changed")]
    Root,
}

impl Operation {
    /// Where it works.
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Replace { path, .. } | Self::Remove { path } => path,
        }
    }
}

/// Applies operations in order; on an error the document is left half changed.
///
/// # Errors
/// The first operation that does not fit.
pub fn apply(document: &mut Value, operations: &[Operation]) -> Result<(), PatchError> {
    operations
        .iter()
        .try_for_each(|operation| apply_one(document, operation))
}

fn apply_one(document: &mut Value, operation: &Operation) -> Result<(), PatchError> {
    let path = operation.path();
    let (parent, last) = Pointer::from(path).split().ok_or(PatchError::Root)?;
    let holder = document
        .pointer_mut(parent.as_str())
        .ok_or_else(|| PatchError::Missing(parent.to_string()))?;
    match holder {
        Value::Object(members) => match operation {
            Operation::Add { value, .. } => {
                members.insert(last, value.clone());
            }
            Operation::Replace { value, .. } => match members.get_mut(&last) {
                Some(place) => *place = value.clone(),
                None => return Err(PatchError::Missing(path.to_owned())),
            },
            Operation::Remove { .. } => {
                // The others keep their order.
                members
                    .shift_remove(&last)
                    .ok_or_else(|| PatchError::Missing(path.to_owned()))?;
            }
        },
        Value::Array(elements) => {
            let wrong = || PatchError::Index(path.to_owned());
            let place = match (last.as_str(), operation) {
                ("-", Operation::Add { .. }) => elements.len(),
                (digits, _) => element(digits).ok_or_else(wrong)?,
            };
            match operation {
                Operation::Add { value, .. } if place <= elements.len() => {
                    elements.insert(place, value.clone());
                }
                Operation::Replace { value, .. } if place < elements.len() => {
                    elements[place] = value.clone();
                }
                Operation::Remove { .. } if place < elements.len() => {
                    elements.remove(place);
                }
                _ => return Err(wrong()),
            }
        }
        _ => return Err(PatchError::NotContainer(path.to_owned())),
    }
    Ok(())
}

/// Reads an array index: digits without a leading zero (RFC 6901 §4).
fn element(text: &str) -> Option<usize> {
    let is_number = text == "0"
        || (text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.starts_with('0')
            && !text.is_empty());
    is_number.then(|| text.parse().ok())?
}

/// Makes a patch; its copy of the document is always as far as its operations.
#[derive(Debug, Clone)]
pub struct PatchBuilder {
    document: Value,
    operations: Vec<Operation>,
}

impl PatchBuilder {
    /// Starts from a document.
    pub fn new(document: &Value) -> Self {
        Self {
            document: document.clone(),
            operations: Vec::new(),
        }
    }

    /// The document so far.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The operations and what they make of the document.
    pub fn finish(self) -> (Vec<Operation>, Value) {
        (self.operations, self.document)
    }

    /// Adds a value.
    ///
    /// # Errors
    /// When the place does not exist.
    pub fn add(&mut self, path: &Pointer, value: Value) -> Result<(), PatchError> {
        self.push(Operation::Add {
            path: path.to_string(),
            value,
        })
    }

    /// Replaces a value.
    ///
    /// # Errors
    /// When nothing is there.
    pub fn replace(&mut self, path: &Pointer, value: Value) -> Result<(), PatchError> {
        self.push(Operation::Replace {
            path: path.to_string(),
            value,
        })
    }

    /// Removes a value.
    ///
    /// # Errors
    /// When nothing is there.
    pub fn remove(&mut self, path: &Pointer) -> Result<(), PatchError> {
        self.push(Operation::Remove {
            path: path.to_string(),
        })
    }

    /// Sets a member of an object, which is made if it is not there.
    ///
    /// # Errors
    /// When the object has nowhere to be.
    pub fn set(&mut self, object: &Pointer, name: &str, value: Value) -> Result<(), PatchError> {
        if is_absent(object.of(&self.document)) {
            let mut members = Map::new();
            members.insert(name.to_owned(), value);
            return self.add(object, Value::Object(members));
        }
        self.add(&object.key(name), value)
    }

    /// Puts a value behind the last element of an array, which is made if it is not there.
    ///
    /// # Errors
    /// When the array has nowhere to be.
    pub fn append(&mut self, array: &Pointer, value: Value) -> Result<(), PatchError> {
        if is_absent(array.of(&self.document)) {
            return self.add(array, Value::Array(vec![value]));
        }
        self.add(&array.end(), value)
    }

    /// Puts a value before the first element of an array, which is made if it is not there.
    ///
    /// # Errors
    /// When the array has nowhere to be.
    pub fn prepend(&mut self, array: &Pointer, value: Value) -> Result<(), PatchError> {
        if is_absent(array.of(&self.document)) {
            return self.add(array, Value::Array(vec![value]));
        }
        self.add(&array.index(0), value)
    }

    fn push(&mut self, operation: Operation) -> Result<(), PatchError> {
        apply_one(&mut self.document, &operation)?;
        self.operations.push(operation);
        Ok(())
    }
}

/// Kubernetes takes `null` for absent.
fn is_absent(value: Option<&Value>) -> bool {
    value.is_none_or(Value::is_null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_of_two_in_a_list_that_was_absent_survives() {
        let mut patch = PatchBuilder::new(&json!({"spec": {"volumes": null}}));
        let volumes = Pointer::root().keys(["spec", "volumes"]);
        patch.append(&volumes, json!("a")).unwrap();
        patch.append(&volumes, json!("b")).unwrap();
        let (operations, document) = patch.finish();
        assert_eq!(document, json!({"spec": {"volumes": ["a", "b"]}}));
        assert_eq!(
            serde_json::to_value(&operations).unwrap(),
            json!([{"op": "add", "path": "/spec/volumes", "value": ["a"]},
                   {"op": "add", "path": "/spec/volumes/-", "value": "b"}])
        );
    }

    #[test]
    fn names_with_slashes_are_escaped_once() {
        let mut patch = PatchBuilder::new(&json!({}));
        let labels = Pointer::root().key("labels");
        patch.set(&labels, "a.b/c~d", json!("x")).unwrap();
        patch.set(&labels, "a.b/e~f", json!("y")).unwrap();
        let (operations, document) = patch.finish();
        assert_eq!(operations[1].path(), "/labels/a.b~1e~0f");
        assert_eq!(
            document,
            json!({"labels": {"a.b/c~d": "x", "a.b/e~f": "y"}})
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        #[track_caller]
        fn check(operation: Value, expected: &PatchError) {
            let operation: Operation = serde_json::from_value(operation).unwrap();
            let mut document = json!({"a": [1], "b": 2});
            assert_eq!(apply(&mut document, &[operation]).as_ref(), Err(expected));
        }
        let path = |path: &str| path.to_owned();
        check(
            json!({"op": "remove", "path": "/c"}),
            &PatchError::Missing(path("/c")),
        );
        check(
            json!({"op": "replace", "path": "/c", "value": 1}),
            &PatchError::Missing(path("/c")),
        );
        check(
            json!({"op": "add", "path": "/c/d", "value": 1}),
            &PatchError::Missing(path("/c")),
        );
        check(
            json!({"op": "add", "path": "/a/2", "value": 1}),
            &PatchError::Index(path("/a/2")),
        );
        check(
            json!({"op": "add", "path": "/a/00", "value": 1}),
            &PatchError::Index(path("/a/00")),
        );
        check(
            json!({"op": "remove", "path": "/a/-"}),
            &PatchError::Index(path("/a/-")),
        );
        check(
            json!({"op": "add", "path": "/b/x", "value": 1}),
            &PatchError::NotContainer(path("/b/x")),
        );
        check(json!({"op": "remove", "path": ""}), &PatchError::Root);
    }
}
