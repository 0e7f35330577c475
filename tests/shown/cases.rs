//! Every text in which a tool is shown, once, with the rungs that show it so.

use mcp_whittle::surface::ladder::LadderOptions;
use mcp_whittle::surface::ladder::Rung;
use mcp_whittle::surface::ladder::ladder;

use crate::lean::ServerList;

/// The rungs that have a text.
pub(crate) const RUNGS: [Rung; 6] = [
    Rung::Full,
    Rung::Lean,
    Rung::Dense,
    Rung::Short,
    Rung::Signature,
    Rung::Name,
];

/// A rung in one of the two forms of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) rung: Rung,
    /// For clients that pass on arguments which the schema does not name.
    pub(crate) is_open: bool,
}

/// Every place, the original first.
pub(crate) fn places() -> impl Iterator<Item = Place> {
    [true, false]
        .into_iter()
        .flat_map(|is_open| RUNGS.map(|rung| Place { rung, is_open }))
}

/// One text of a tool.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) raw: String,
    pub(crate) places: Vec<Place>,
}

/// One tool and its texts, the original first.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) server: String,
    pub(crate) number: usize,
    pub(crate) texts: Vec<Text>,
}

impl Tool {
    /// The definition as the server sent it.
    pub(crate) fn original(&self) -> &str {
        &self.texts[0].raw
    }
}

/// The tools of lists with all their texts.
pub(crate) fn tools(lists: Vec<ServerList>) -> Vec<Tool> {
    let of_list = |list: ServerList| {
        let server = list.server;
        let tools = list.tools.into_iter().enumerate();
        tools.map(move |(number, raw)| Tool {
            server: server.clone(),
            number,
            texts: texts(&raw),
        })
    };
    lists.into_iter().flat_map(of_list).collect()
}

fn texts(raw: &str) -> Vec<Text> {
    let mut texts: Vec<Text> = vec![Text {
        raw: raw.to_owned(),
        places: Vec::new(),
    }];
    for is_open in [true, false] {
        let options = LadderOptions {
            may_use_open_schema: is_open,
            ..LadderOptions::default()
        };
        for rendering in ladder(raw, &options) {
            let Some(shown) = &rendering.text else {
                continue;
            };
            let place = Place {
                rung: rendering.rung,
                is_open,
            };
            match texts.iter_mut().find(|text| text.raw == **shown) {
                Some(text) => text.places.push(place),
                None => texts.push(Text {
                    raw: shown.clone().into_owned(),
                    places: vec![place],
                }),
            }
        }
    }
    texts
}
