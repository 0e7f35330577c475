//! What a client's limits ask of a list before and after it is planned: one object at the root of each
//! schema, so many tools, and what matters first in long descriptions.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::catalog::app::is_app;
use crate::catalog::risk::RiskClass;
use crate::catalog::tool_view::ToolView;
use crate::jsonrpc::members;
use crate::jsonrpc::write::{edit_object, splice};
use crate::surface::front_load::front_loaded;
use crate::surface::ladder::Rung;
use crate::surface::plan::stays::stays;
use crate::surface::plan::{Budget, Part, ReadsResults, Settings, Surface};
use crate::surface::root_union::merged;

/// The tools as this client can take them; none where they are so.
pub(super) fn without_root_unions(parts: &[Part], settings: &Settings) -> Option<Vec<Part>> {
    if !settings.form.merges_root_unions {
        return None;
    }
    let as_object = |tool: &Bytes| {
        let object = std::str::from_utf8(tool).ok().and_then(merged);
        object.map_or_else(|| tool.clone(), Bytes::from)
    };
    Some(
        parts
            .iter()
            .map(|part| Part {
                server: part.server.clone(),
                tools: part.tools.iter().map(as_object).collect(),
            })
            .collect(),
    )
}

/// Settings that leave out as many tools as are too many for the client; none where all have a place or no
/// budget is wanted. Where tools are hidden anyway (`hides`) those need places that search and call them. Those
/// stay that the operator pinned, then those that have to be in a list, then those of most weight, then the first.
pub(super) fn within_count(parts: &[Part], settings: &Settings, hides: bool) -> Option<Settings> {
    if settings.budget == Budget::Unlimited {
        // An operator who wants it whole gets it whole.
        return None;
    }
    let read_result = usize::from(settings.reads_results != ReadsResults::Never);
    let limit = settings.form.tool_limit?.saturating_sub(read_result);
    let tools: Vec<(String, RiskClass, bool)> = parts
        .iter()
        .flat_map(|part| &part.tools)
        .map(|tool| {
            let view = ToolView::parse(std::str::from_utf8(tool).unwrap_or_default()).ok();
            let name = view.as_ref().and_then(ToolView::name_text);
            let risk = view.as_ref().map(RiskClass::of_tool);
            (
                name.unwrap_or_default().into_owned(),
                risk.unwrap_or(RiskClass::Destructive),
                stays(tool),
            )
        })
        .collect();
    let pinned = |name: &str| settings.pinned(name);
    let listed = |(name, ..): &&(String, RiskClass, bool)| pinned(name) != Some(Rung::Hidden);
    let mut ranked: Vec<&(String, RiskClass, bool)> = tools.iter().filter(listed).collect();
    let classes = RiskClass::ALL
        .into_iter()
        .filter(|class| tools.iter().any(|(_, risk, _)| risk == class));
    // Search, describe, and a caller for each class that is there.
    let own = 2 + classes.count();
    let beside_own = limit.saturating_sub(own);
    let room = if hides { beside_own } else { limit };
    if ranked.len() <= room {
        return None;
    }
    // Stable: of equals the first.
    ranked.sort_by_key(|(name, _, stays)| {
        Reverse((pinned(name).is_some(), *stays, settings.weight(name)))
    });
    let left_out: BTreeSet<String> = ranked
        .into_iter()
        .skip(beside_own)
        .map(|(name, ..)| name.clone())
        .collect();
    let mut limited = settings.clone();
    limited.left_out = left_out;
    if limited.form.searches_itself {
        // It gets the whole list as far as it goes, and the rest through our search.
        limited.form.searches_itself = false;
        limited.budget = Budget::Unlimited;
    }
    Some(limited)
}

/// Tells whether a surface that hides tools lists more than the client takes, ours included.
pub(super) fn exceeds_count(surface: &Surface, settings: &Settings) -> bool {
    let shown = surface.tools.iter().flatten();
    let n_listed = shown.filter(|tool| tool.text.is_some()).count()
        + surface.meta_tools.len()
        + usize::from(surface.read_result.is_some());
    let limit = settings.form.tool_limit;
    surface.hides() && limit.is_some_and(|limit| n_listed > limit)
}

/// Brings what matters to the front of descriptions that the client cuts off.
pub(super) fn front_load(surface: &mut Surface, settings: &Settings) {
    let Some(limit) = settings.form.description_limit else {
        return;
    };
    for shown in surface.tools.iter_mut().flatten() {
        let text = shown.text.as_ref();
        if let Some(text) = text.and_then(|text| front_loaded(text, limit)) {
            shown.text = Some(text);
        }
    }
}

/// Takes `outputSchema` out of what is listed, where results may be shaped against it. What an MCP App shows
/// stays whole, and so does its schema.
pub(super) fn drop_output_schemas(surface: &mut Surface, settings: &Settings) {
    if !settings.form.drops_output_schema {
        return;
    }
    for shown in surface.tools.iter_mut().flatten() {
        let Some(raw) = &shown.text else {
            continue;
        };
        if members::get(raw, "outputSchema").is_none() || is_app(raw) {
            continue;
        }
        let edits = edit_object(raw, 0..raw.len(), &["outputSchema"], &[]);
        shown.text = Some(splice(raw, edits).to_bytes());
    }
}
