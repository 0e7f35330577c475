//! The names of our tools. A server's own tool of the same name keeps it; ours moves.

use std::collections::HashSet;

use crate::surface::meta_tools::MetaTool;

/// Under which name each meta-tool is listed and called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaNames {
    names: [String; MetaTool::ALL.len()],
}

impl Default for MetaNames {
    fn default() -> Self {
        placed_names(std::iter::empty())
    }
}

impl MetaNames {
    /// Returns the name of a meta-tool.
    pub fn of(&self, tool: MetaTool) -> &str {
        let at = MetaTool::ALL.iter().position(|other| *other == tool);
        &self.names[at.expect("every meta-tool is in the list")]
    }

    /// Returns the meta-tool of a name.
    pub fn which(&self, name: &str) -> Option<MetaTool> {
        let at = self.names.iter().position(|own| own == name)?;
        Some(MetaTool::ALL[at])
    }
}

/// Chooses names that no server tool has: the usual one, else with `_2`, `_3` and so on. Names that
/// differ in case only count as the same, because models and some clients take them for it.
pub fn placed_names<'n>(server_tools: impl IntoIterator<Item = &'n str>) -> MetaNames {
    let taken: HashSet<String> = server_tools
        .into_iter()
        .map(str::to_ascii_lowercase)
        .collect();
    let names = MetaTool::ALL.map(|tool| {
        let usual = tool.usual_name();
        if !taken.contains(usual) {
            return usual.to_owned();
        }
        (2_u64..)
            .map(|n| format!("{usual}_{n}"))
            .find(|name| !taken.contains(name))
            .expect("a finite set leaves a number free")
    });
    MetaNames { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_moves_where_a_server_has_the_name() {
        let names = placed_names(["Search_Tools", "search_tools_2", "call_read_tool", "x"]);
        assert_eq!(names.of(MetaTool::Search), "search_tools_3");
        assert_eq!(names.of(MetaTool::Describe), "describe_tools");
        assert_eq!(names.which("search_tools"), None);
        assert_eq!(names.which("search_tools_3"), Some(MetaTool::Search));
        for tool in MetaTool::ALL {
            assert_eq!(names.which(names.of(tool)), Some(tool));
            assert_eq!(MetaNames::default().of(tool), tool.usual_name());
        }
    }
}
