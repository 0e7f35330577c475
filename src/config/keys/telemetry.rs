//! Settings of traces and metrics over OTLP.

use super::*;
use crate::config::telemetry::{self, PROTOCOL};

pub(super) static KEYS: &[Key] = &[
    Key {
        name: "telemetry.endpoint",
        option: None,
        set: |draft, input| draft.telemetry.set_endpoint(input),
        show: |draft| draft.telemetry.show_endpoint(),
    },
    Key {
        name: "telemetry.headers_file",
        option: None,
        set: |draft, input| draft.telemetry.set_headers(input),
        show: |draft| draft.telemetry.show_headers(),
    },
    Key {
        name: "telemetry.protocol",
        option: None,
        set: |_, input| telemetry::protocol(&input.text()?),
        show: |_| PROTOCOL.to_owned(),
    },
    time!("telemetry.timeout", None, telemetry.timeout),
    time!("telemetry.interval", None, telemetry.interval),
    Key {
        name: "telemetry.sampling",
        option: None,
        set: |draft, input| draft.telemetry.set_sampling(&input.number()?),
        show: |draft| draft.telemetry.show_sampling(),
    },
    Key {
        name: "telemetry.service_name",
        option: None,
        set: |draft, input| draft.telemetry.set_service_name(&input.text()?),
        show: |draft| draft.telemetry.service_name.clone(),
    },
];
