//! The configuration is read again (SIGHUP).

use std::time::Instant;

use crate::telemetry::one_line;

use super::Driver;
use super::hub_settings::hub_settings;
use super::stores::with_state;

impl Driver {
    /// Takes new settings where they are good; where they are not, the old ones stay and the log says why.
    pub(super) fn read_settings_again(&mut self) {
        if let Some(audit) = &self.audit {
            audit.reopen();
        }
        let Some(reload) = &self.reload else {
            tracing::warn!("SIGHUP: there is no configuration file to read again");
            return;
        };
        match reload() {
            Ok(mut settings) => {
                for key in settings.needs_restart(&self.settings) {
                    tracing::warn!("`{key}` changed; it takes effect at the next start");
                }
                // Spans are made for the exporter that runs.
                settings.telemetry.clone_from(&self.settings.telemetry);
                // Lists and results are counted alike.
                settings.tokenizer = self.settings.tokenizer;
                let mut hub_settings =
                    with_state(hub_settings(&settings), self.store.as_ref(), &self.tier);
                hub_settings.keeps_results = self.reads.can_read();
                self.hub.replace_settings(Instant::now(), hub_settings);
                crate::transport::stderr::redact_with(crate::telemetry::secrets::of_logs(
                    &settings,
                ));
                crate::telemetry::start(&settings.log);
                self.redactor.replace(&settings);
                self.servers.forget_settings();
                self.settings = settings;
                tracing::info!("the configuration was read again");
            }
            Err(error) => {
                tracing::error!(
                    "the configuration stays as it was, because the new one is wrong: {}",
                    one_line(&error.to_string())
                );
            }
        }
    }
}
