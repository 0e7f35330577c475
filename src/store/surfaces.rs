//! Surfaces on disk: what was planned for the same definitions and settings before, so that a start neither
//! counts nor plans again, and shows the same bytes.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::surface::ladder::Rung;
use crate::surface::plan::{Cost, Shortfall, Shown, Surface};
use crate::token::Tokens;

use super::Store;

/// Format of a file, and number of the rules that it was planned by; another one is a miss.
const FORMAT: u32 = 3;
/// Bytes of one file, at most.
const FILE_BYTES: u64 = 64 << 20;
/// Surfaces kept; the ones written longest ago go first.
const KEPT: usize = 64;

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    key: String,
    /// Rung and text of each tool, by server.
    tools: Vec<Vec<(String, Option<String>)>>,
    meta_tools: Vec<String>,
    read_result: Option<String>,
    /// Tokens of the bare, the lean and the shown list, and of our own tools.
    cost: Option<[u64; 4]>,
    budget: Option<u64>,
    /// Budget and what it came to; whether our own tools were the reason.
    shortfall: Option<(u64, u64, bool)>,
    /// Hash of everything above, so that a damaged file is a miss.
    check: String,
}

impl Store {
    fn surface_path(&self, key: &[u8; 32]) -> PathBuf {
        let name = blake3::Hash::from_bytes(*key).to_hex();
        self.root
            .join("surfaces")
            .join(format!("{}.json", &name[..32]))
    }

    /// Reads a surface; a missing, damaged or foreign one is none.
    pub fn load_surface(&self, key: &[u8; 32]) -> Option<Surface> {
        let mut text = String::new();
        fs::File::open(self.surface_path(key))
            .ok()?
            .take(FILE_BYTES)
            .read_to_string(&mut text)
            .ok()?;
        let file: File = serde_json::from_str(&text).ok()?;
        let name = blake3::Hash::from_bytes(*key).to_hex();
        if file.format != FORMAT || file.key != name.as_str() || file.check != check(&file) {
            return None;
        }
        let shown = |(rung, text): (String, Option<String>)| {
            Some(Shown {
                rung: rung.parse::<Rung>().ok()?,
                text: text.map(Bytes::from),
            })
        };
        let tools: Option<Vec<Vec<Shown>>> = file
            .tools
            .into_iter()
            .map(|tools| tools.into_iter().map(shown).collect())
            .collect();
        Some(Surface {
            tools: tools?,
            meta_tools: file.meta_tools.into_iter().map(Bytes::from).collect(),
            read_result: file.read_result.map(Bytes::from),
            names: Default::default(),
            cost: file.cost.map(|[bare, lean, shown, meta]| Cost {
                bare: Tokens::new(bare),
                lean: Tokens::new(lean),
                shown: Tokens::new(shown),
                meta: Tokens::new(meta),
            }),
            budget: file.budget,
            shortfall: file.shortfall.map(|(budget, tokens, is_ours)| {
                if is_ours {
                    Shortfall::BelowMetaTools {
                        budget,
                        meta: tokens,
                    }
                } else {
                    Shortfall::Over {
                        budget,
                        shown: tokens,
                    }
                }
            }),
        })
    }

    /// Keeps a surface.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store_surface(&self, key: &[u8; 32], surface: &Surface) -> std::io::Result<()> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let mut file = File {
            format: FORMAT,
            key: blake3::Hash::from_bytes(*key).to_hex().to_string(),
            tools: surface
                .tools
                .iter()
                .map(|tools| {
                    let shown =
                        |tool: &Shown| (tool.rung.to_string(), tool.text.as_ref().map(text));
                    tools.iter().map(shown).collect()
                })
                .collect(),
            meta_tools: surface.meta_tools.iter().map(text).collect(),
            read_result: surface.read_result.as_ref().map(text),
            cost: surface
                .cost
                .map(|cost| [cost.bare, cost.lean, cost.shown, cost.meta].map(Tokens::get)),
            budget: surface.budget,
            shortfall: surface.shortfall.as_ref().map(|shortfall| match shortfall {
                Shortfall::Over { budget, shown } => (*budget, *shown, false),
                Shortfall::BelowMetaTools { budget, meta } => (*budget, *meta, true),
            }),
            check: String::new(),
        };
        file.check = check(&file);
        let path = self.surface_path(key);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        super::replace(&path, &serde_json::to_vec(&file)?)?;
        super::drop_oldest(&self.root.join("surfaces"), KEPT);
        Ok(())
    }
}

fn check(file: &File) -> String {
    let all = (
        file.format,
        &file.key,
        &file.tools,
        &file.meta_tools,
        &file.read_result,
        &file.cost,
        &file.budget,
        &file.shortfall,
    );
    let text = serde_json::to_vec(&all).unwrap_or_default();
    blake3::hash(&text).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surface_comes_back_byte_for_byte_and_damage_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let surface = Surface {
            tools: vec![
                vec![
                    Shown {
                        rung: Rung::Short,
                        text: Some(Bytes::from_static(b"{\"name\":\"\\u00e9\"}")),
                    },
                    Shown {
                        rung: Rung::Hidden,
                        text: None,
                    },
                ],
                vec![],
            ],
            meta_tools: vec![Bytes::from_static(b"{}")],
            read_result: Some(Bytes::from_static(b"{\"r\":1}")),
            names: Default::default(),
            cost: Some(Cost {
                bare: Tokens::new(4),
                lean: Tokens::new(3),
                shown: Tokens::new(2),
                meta: Tokens::new(1),
            }),
            budget: Some(2),
            shortfall: Some(Shortfall::Over {
                budget: 2,
                shown: 3,
            }),
        };
        let key = [7; 32];
        assert!(store.load_surface(&key).is_none());
        store.store_surface(&key, &surface).unwrap();
        let back = store.load_surface(&key).unwrap();
        assert_eq!(back.tools, surface.tools);
        assert_eq!(back.meta_tools, surface.meta_tools);
        assert_eq!(back.read_result, surface.read_result);
        assert_eq!((back.cost, back.budget), (surface.cost, surface.budget));
        assert_eq!(back.shortfall, surface.shortfall);
        assert!(store.load_surface(&[8; 32]).is_none());
        let path = store.surface_path(&key);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("short", "dense")).unwrap();
        assert!(
            store.load_surface(&key).is_none(),
            "a changed file is a miss"
        );
    }
}
