//! What monitoring sees of deployments; `docs/operators.md` names all of it.

/// A new generation, or an order about one that there is, and what came of it on this node: the generation's state, or
/// `refused`.
pub(super) fn came_of(deployment: &str, outcome: &'static str) {
    let labels = [("deployment", deployment.to_owned()), ("outcome", outcome.to_owned())];
    metrics::counter!("patchbay_deployments_total", &labels).increment(1);
}

/// Which generation decides on this node; 0: the configuration's own, or none since the section is gone.
pub(super) fn active(deployment: &str, generation: u64) {
    // A generation's number is far below what a float holds exactly.
    metrics::gauge!("patchbay_active_generation", "deployment" => deployment.to_owned()).set(generation as f64);
}

/// Whether this node runs something else than it should.
pub(super) fn behind(deployment: &str, behind: bool) {
    metrics::gauge!("patchbay_deployment_behind", "deployment" => deployment.to_owned())
        .set(f64::from(u8::from(behind)));
}
