//! The sections `pins`, `scan` and `redact`: what is watched in definitions and results.

use crate::policy::guard::HiddenMode;
use crate::policy::pins::{Mode, Volatile};

use super::draft::Draft;
use super::finding::Fault;
use super::input::Input;
use super::policy::word;

pub(super) fn set_pins_mode(draft: &mut Draft, input: &Input<'_>) -> Result<(), Fault> {
    draft.guard.pins = word(&input.text()?, &Mode::ALL)?;
    Ok(())
}

pub(super) fn set_volatile(draft: &mut Draft, input: &Input<'_>) -> Result<(), Fault> {
    draft.guard.volatile = Volatile::new(&input.list()?).map_err(|problem| {
        Fault::new(problem)
            .hint("write pointers into a definition, such as `/inputSchema/properties/*/default`")
    })?;
    Ok(())
}

pub(super) fn set_hidden(draft: &mut Draft, input: &Input<'_>) -> Result<(), Fault> {
    draft.guard.hidden = word(&input.text()?, &HiddenMode::ALL)?;
    Ok(())
}
