//! `patchbay plugin test --record`: real servers are asked once, and what they answer is written down.

use std::path::Path;

use patchbay_artefact::Manifest;
use patchbay_artefact::manifest::WantedHost;
use patchbay_artefact::project::FILE;
use patchbay_model::golden::Exchange;
use patchbay_runtime::{Grants, HostPattern, HttpGrant, Plugin, rehearse};

use super::Told;
use super::subject::Case;
use super::update;
use crate::cli::failure::{failed, wrong};
use crate::config::{Credential, Outgoing};
use crate::serve::build;

/// What may be called: what the file grants, and without one the hosts that the plugin wants, over HTTPS and without
/// credentials.
pub(super) fn grants(config: Option<&Path>, manifest: Option<&Manifest>) -> anyhow::Result<Grants> {
    let name = manifest.map_or("plugin", |manifest| manifest.name.as_str());
    let Some(file) = config else {
        let wanted = manifest.map(|manifest| manifest.wants.http.as_slice()).unwrap_or_default();
        if wanted.is_empty() {
            return Err(wrong(format!(
                "the plugin wants to call nobody, so that there is nothing to record. Write into {FILE}:\n\
                 [[wants.http]]\nhost = \"api.example.com\""
            )));
        }
        let grant = |wanted: &WantedHost| {
            let host =
                HostPattern::parse(&wanted.host).map_err(|error| wrong(format!("{FILE}: wants.http: {error}")))?;
            let (methods, paths) = (wanted.methods.clone(), wanted.paths.clone());
            Ok::<_, anyhow::Error>(HttpGrant { methods, paths, ..HttpGrant::https(host) })
        };
        let http = wanted.iter().map(grant).collect::<Result<_, _>>()?;
        return Ok(Grants { http, ..Grants::default() });
    };
    let outgoing = Outgoing::read(file).map_err(wrong)?;
    let shown = file.display();
    let Some(grants) = outgoing.grants(name) else {
        return Err(wrong(format!(
            "{shown} grants the plugin `{name}` nothing. Write there:\n[[plugins.{name}.grants.http]]\n\
             host = \"api.example.com\""
        )));
    };
    for used in grants.http.iter().filter_map(|grant| grant.credential.as_ref()) {
        // Whatever the server gave in its place would be lost.
        if matches!(outgoing.credentials.get(used), Some(Credential::OAuth2RefreshToken { .. })) {
            return Err(wrong(format!(
                "[credentials.{used}] in {shown} is a refresh token, which a recording may use up: take another kind there, \
                 such as a `bearer` token that was got with it"
            )));
        }
    }
    build::grants(&outgoing.credentials, name, grants).map_err(|error| wrong(format!("{shown}: {error:#}")))
}

/// Asks the golden event with real servers, writes what they answered into its file, and asks it again without them.
pub(super) async fn record(plugin: &Plugin, mut case: Case) -> anyhow::Result<Told> {
    let Some(file) = case.file.clone() else {
        return Err(failed(
            "the golden events are in the component, and not in files: there is nothing to record into",
        ));
    };
    let recording = patchbay_runtime::record(plugin, &case.golden).await;
    if !recording.problems.is_empty() || recording.result.answered.is_none() {
        let mut result = recording.result;
        result.passed = false;
        // What it made of a request that failed is nothing to expect.
        result.answered = None;
        result.differences.splice(0..0, recording.problems);
        let mut said = "nothing was recorded".to_owned();
        if result.differences.iter().any(|line| line.contains(" was not sent: ")) {
            said.push_str(&format!("; what may be called stands in the file that --config names, or in {FILE}"));
        }
        result.differences.push(said);
        return Ok(Told { case, result, updated: false, recorded: None, left_out: recording.left_out });
    }
    let updated = recording.http != case.golden.http;
    if updated {
        update::http(&file, &recording.http)?;
        case.golden.http.clone_from(&recording.http);
    }
    let result = rehearse(plugin, &case.golden).await;
    Ok(Told { case, result, updated, recorded: Some(recording.http), left_out: recording.left_out })
}

/// `POST https://api.example.com/tickets → 201`
pub(super) fn line(Exchange { request, answer }: &Exchange) -> String {
    format!("{} {} → {}", request.method, request.url, answer.status)
}
