//! What a profile's facts come to: the choices that the surface and the results make for a client.
//! An unknown fact gives the choice that is safe with every client.

use crate::config::profiles::Profile;
use crate::config::profiles::ResultChannel;
use crate::result::images::Vision;

/// How the tool list is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// Made to fit the budget; meta-tools where it cannot be met otherwise.
    Budgeted,
    /// The whole list, lean and with what matters first: the client searches itself.
    Whole,
}

/// The choices for a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// How the list is made.
    pub list: ListForm,
    /// Bytes within which a description has to say what matters.
    pub description_bytes: Option<u64>,
    /// Bytes within which the instructions have to.
    pub instructions_bytes: Option<u64>,
    /// Tools shown at most, meta-tools included.
    pub tools: Option<u64>,
    /// References are written out.
    pub inlines_references: bool,
    /// Unions at the root are written as one object.
    pub merges_root_unions: bool,
    /// The rungs with an open schema (`dense`, `name`) may be used.
    pub uses_open_schemas: bool,
    /// Shared text may move into the instructions.
    pub moves_text_to_instructions: bool,
    /// The part of a result that is shaped.
    pub shapes: ResultChannel,
    /// `outputSchema` stays, and `structuredContent` stays complete.
    pub keeps_output_schema: bool,
    /// Links for the user alone cost the model nothing.
    pub shows_links_to_user: bool,
    /// Tokens under which a result should stay.
    pub result_tokens: Option<u64>,
    /// Bytes under which a result should stay.
    pub result_bytes: Option<u64>,
    /// What its model makes of images.
    pub vision: Vision,
    /// Prices of a cached and a written token, in uncached ones.
    pub cache_prices: (Option<f64>, Option<f64>),
}

impl Profile {
    /// Draws the choices from the facts.
    pub fn shown(&self) -> Shown {
        let is = |fact: &Option<crate::config::profiles::Fact<bool>>, value: bool| {
            fact.as_ref().is_some_and(|fact| fact.value == value)
        };
        let number = |fact: &Option<crate::config::profiles::Fact<u64>>| {
            fact.as_ref().map(|fact| fact.value)
        };
        let shapes = self
            .result_channel
            .as_ref()
            .map_or(ResultChannel::Text, |fact| fact.value);
        let limits = [
            number(&self.result_limit_tokens),
            number(&self.result_warning_tokens),
        ];
        Shown {
            list: if is(&self.native_tool_search, true) {
                ListForm::Whole
            } else {
                ListForm::Budgeted
            },
            description_bytes: number(&self.description_limit_bytes),
            instructions_bytes: number(&self.instructions_limit_bytes),
            tools: number(&self.tool_count_limit),
            inlines_references: is(&self.references, false),
            merges_root_unions: is(&self.root_unions, false),
            uses_open_schemas: is(&self.open_schemas, true),
            moves_text_to_instructions: is(&self.shows_instructions, true),
            shapes,
            keeps_output_schema: shapes == ResultChannel::Text,
            shows_links_to_user: is(&self.links_to_user, true),
            result_tokens: limits.into_iter().flatten().min(),
            result_bytes: number(&self.result_limit_bytes),
            vision: Vision {
                long_edge: number(&self.image_edge)
                    .and_then(|edge| u32::try_from(edge).ok())
                    .unwrap_or(Vision::default().long_edge),
                formula: self
                    .image_tokens
                    .as_ref()
                    .map_or(Vision::default().formula, |fact| fact.value),
            },
            cache_prices: (
                self.cache_read_price.as_ref().map(|fact| fact.value),
                self.cache_write_price.as_ref().map(|fact| fact.value),
            ),
        }
    }
}
