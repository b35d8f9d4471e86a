//! The lines of a configuration that a component needs.

use std::fmt::Write;
use std::path::Path;

use patchbay_artefact::Manifest;
use patchbay_artefact::manifest::WantedHost;
use patchbay_artefact::settings::toml::{key, quoted, value};
use patchbay_runtime::{Inspection, Need};

use super::settings::Setting;

/// Keys and values for a plugin that does not say how much it keeps.
const KEYVALUE: &str = "1MiB";

/// TOML to paste and to fill in.
pub(super) fn lines(file: &Path, inspection: &Inspection, manifest: Option<&Manifest>, settings: &[Setting]) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = key(manifest.map_or(&stem, |manifest| &manifest.name));
    let source =
        super::builtin(file).map_or_else(|| format!("file:{}", file.display()), |name| format!("builtin:{name}"));
    let mut text = format!("[plugins.{name}]\nsource = {}\n", quoted(&source));
    given(&mut text, &name, settings);
    secrets(&mut text, &name, manifest, settings);
    grants(&mut text, &name, inspection, manifest);
    text
}

fn given(text: &mut String, name: &str, settings: &[Setting]) {
    let plain: Vec<&Setting> = settings.iter().filter(|setting| !setting.secret).collect();
    if plain.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n[plugins.{name}.settings]");
    for setting in plain {
        let value = setting.default.as_ref().map_or_else(|| example(&setting.kind), value);
        let (comment, note) = if setting.required { ("", "  # required") } else { ("# ", "") };
        let _ = writeln!(text, "{comment}{} = {value}{note}", dotted(&setting.name));
    }
}

fn secrets(text: &mut String, name: &str, manifest: Option<&Manifest>, settings: &[Setting]) {
    let of_schema = settings.iter().filter(|setting| setting.secret).map(|setting| setting.name.as_str());
    let mut names: Vec<&str> =
        manifest.into_iter().flat_map(|manifest| &manifest.secrets).map(|secret| &*secret.name).collect();
    names.extend(of_schema);
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n[plugins.{name}.secrets]");
    for secret in names {
        let variable: String = secret
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' })
            .collect();
        let _ = writeln!(text, "{} = \"env:{variable}\"", key(secret));
    }
}

fn grants(text: &mut String, name: &str, inspection: &Inspection, manifest: Option<&Manifest>) {
    let needs = |which: fn(&Need) -> bool| inspection.imports.iter().any(|import| which(&import.need));
    let http = needs(|need| matches!(need, Need::Grants { http: true, .. }));
    let wants = manifest.map(|manifest| &manifest.wants);
    let media =
        needs(|need| matches!(need, Need::Grants { media: true, .. })) || wants.is_some_and(|wants| wants.media);
    let kept = wants.and_then(|wants| wants.keyvalue).map(size);
    let kept =
        kept.or_else(|| needs(|need| matches!(need, Need::Grants { keyvalue: true, .. })).then(|| KEYVALUE.to_owned()));
    if media || kept.is_some() {
        let _ = writeln!(text, "\n[plugins.{name}.grants]");
        if media {
            text.push_str("media = true\n");
        }
        if let Some(kept) = kept {
            let _ = writeln!(text, "keyvalue = \"{kept}\"");
        }
    }
    let hosts = wants.map(|wants| wants.http.as_slice()).unwrap_or_default();
    for host in hosts {
        wanted(text, name, host);
    }
    if http && hosts.is_empty() {
        let _ = writeln!(
            text,
            "\n# It says nowhere which hosts it calls.\n[[plugins.{name}.grants.http]]\nhost = \"api.example.com\""
        );
    }
}

fn wanted(text: &mut String, name: &str, host: &WantedHost) {
    text.push('\n');
    for line in host.about.lines() {
        let _ = writeln!(text, "# {line}");
    }
    let _ = writeln!(text, "[[plugins.{name}.grants.http]]\nhost = {}", quoted(&host.host));
    for (what, values) in [("methods", &host.methods), ("paths", &host.paths)] {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            let _ = writeln!(text, "{what} = [{}]", values.join(", "));
        }
    }
}

fn dotted(name: &str) -> String {
    name.split('.').map(key).collect::<Vec<_>>().join(".")
}

/// A value that shows what to write for a type.
fn example(kind: &str) -> String {
    match kind {
        "integer" | "number" => "0".to_owned(),
        "boolean" => "false".to_owned(),
        list if list.starts_with("list") => "[]".to_owned(),
        one if one.starts_with("one of ") => {
            one.trim_start_matches("one of ").split(", ").next().unwrap_or("\"\"").to_owned()
        }
        "object" => "{}".to_owned(),
        _ => "\"…\"".to_owned(),
    }
}

/// `1MiB`, in the largest unit that needs no fraction.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let fits = |shift: u32| bytes.trailing_zeros() >= shift && bytes >> shift > 0;
    let (unit, shift) = units.into_iter().find(|(_, shift)| fits(*shift)).unwrap_or(("B", 0));
    format!("{}{unit}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use patchbay_artefact::manifest::{WantedSecret, Wants};
    use patchbay_runtime::Import;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lines_are_toml_and_say_what_is_wanted() {
        let inspection = Inspection {
            roles: Vec::new(),
            contracts: Vec::new(),
            imports: vec![Import {
                name: "wasi:http/types@0.2.4".into(),
                need: Need::Grants { http: true, media: false, keyvalue: false },
            }],
            size: 1,
            memory: 1,
            digest: String::new(),
        };
        let setting = |name: &str, kind: &str, required: bool, secret: bool| Setting {
            name: name.into(),
            kind: kind.into(),
            required,
            default: None,
            secret,
            about: String::new(),
        };
        let mut tier = setting("a.b", "number", false, false);
        tier.default = Some(json!([1, "x", { "k l": true }]));
        let settings = [setting("queue", "string", true, false), tier, setting("api_key", "string", true, true)];
        let host = WantedHost {
            host: "*.acme.com".into(),
            methods: vec!["GET".into()],
            paths: vec!["/a\"b".into()],
            about: "Orders.\nAnd more.".into(),
        };
        let manifest = Manifest {
            name: "acme".into(),
            version: "1.0.0".into(),
            description: String::new(),
            wants: Wants { http: vec![host], media: true, keyvalue: Some(3 << 20) },
            settings: None,
            secrets: vec![WantedSecret { name: "webhook".into(), about: String::new() }],
        };
        let text = lines(Path::new("acme.wasm"), &inspection, Some(&manifest), &settings);
        let table: toml::Table = text.replace("# a.b", "a.b").parse().unwrap();
        let acme = &table["plugins"]["acme"];
        assert_eq!(acme["settings"]["a"]["b"].as_array().unwrap().len(), 3, "{text}");
        assert_eq!(acme["secrets"]["api_key"].as_str(), Some("env:API_KEY"));
        assert_eq!(acme["grants"]["keyvalue"].as_str(), Some("3MiB"));
        assert_eq!(acme["grants"]["http"][0]["paths"][0].as_str(), Some("/a\"b"));
        assert!(text.contains("# Orders.\n# And more.\n[[plugins.acme.grants.http]]"), "{text}");
        let bare = lines(Path::new("x y.wasm"), &inspection, None, &[]);
        assert!(bare.contains("[plugins.\"x y\"]") && bare.contains("host = \"api.example.com\""), "{bare}");
        bare.parse::<toml::Table>().unwrap();
    }
}
