//! Checkpoints of the audit log while the server runs: every thousand records, and when a day has ended.

use crate::web::App;
use std::time::Duration;

/// How often it is looked whether a checkpoint is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Signs checkpoints as they come due, for as long as it is polled. A vault that does not answer is asked again at
/// the next look: the records stay chained meanwhile.
pub(crate) async fn keep(app: App) {
    let Some(centre) = app.centre.clone() else { return };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let (centre, app) = (centre.clone(), app.clone());
        let made =
            tokio::task::spawn_blocking(move || centre.checkpoint_if_due(app.clock.now(), &mut *(app.rng)()));
        match made.await {
            Ok(Ok(Some(made))) => {
                tracing::info!(
                    no = made.no,
                    records = made.records,
                    "checkpoint {} of the audit log is signed",
                    made.no
                );
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "no checkpoint of the audit log: {error}"),
            Err(error) => tracing::error!(%error, "a checkpoint of the audit log broke off: {error}"),
        }
    }
}
