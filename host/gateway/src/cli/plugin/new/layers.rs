//! The files of a project: layers of templates, and the SDK of the language as `sdk/`.

use std::collections::BTreeMap;

use anyhow::Context;

use super::{Language, Role};

include!(concat!(env!("OUT_DIR"), "/plugin_files.rs"));

/// Files that the layers have each a part of; of all others the last layer counts.
const JOINED: [&str; 3] = ["plugin.toml", "README.md", ".gitignore"];
/// What the templates are called, in the three ways that names are written.
const EXAMPLE: [&str; 3] = ["example-plugin", "example_plugin", "ExamplePlugin"];

/// All files of a new project, by their paths in it.
///
/// # Errors
/// When a template is no text.
pub(super) fn project(lang: Language, role: Role, name: &str) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let names = names(name);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut layers = vec!["common/all".to_owned(), format!("common/{}", role.as_str())];
    for lang in languages(lang) {
        layers.extend([format!("{lang}/all"), format!("{lang}/{}", role.as_str())]);
    }
    for layer in layers {
        for (path, content) in below(&format!("templates/{layer}/")) {
            let path = dotted(path);
            let text = std::str::from_utf8(content).with_context(|| format!("the template {path} is no text"))?;
            let text = EXAMPLE.iter().zip(&names).fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
            let joined = JOINED.contains(&path.as_str());
            let file = files.entry(path).or_default();
            if !joined {
                file.clear();
            }
            file.extend_from_slice(text.as_bytes());
        }
    }
    if lang == Language::Typescript {
        files.remove("src/index.js");
    }
    for (from, to) in sdk(lang) {
        for (path, content) in below(from) {
            files.insert(format!("{to}{path}"), content.to_vec());
        }
    }
    Ok(files)
}

/// Whose layers a language has. What is written in TypeScript is JavaScript's in all but its source.
const fn languages(lang: Language) -> &'static [&'static str] {
    match lang {
        Language::Rust => &["rust"],
        Language::Javascript => &["javascript"],
        Language::Typescript => &["javascript", "typescript"],
        Language::Python => &["python"],
    }
}

/// What of the embedded files goes where. Rust's SDK finds the contract as it does in the repository.
const fn sdk(lang: Language) -> &'static [(&'static str, &'static str)] {
    match lang {
        Language::Rust => &[("rust/", "sdk/plugin-sdk/rust/"), ("wit/", "sdk/wit/0.2/")],
        Language::Javascript | Language::Typescript => &[("javascript/", "sdk/"), ("wit/", "sdk/wit/")],
        Language::Python => &[("python/", "sdk/"), ("wit/", "sdk/wit/patchbay/")],
    }
}

fn below(prefix: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(path, content)| Some((path.strip_prefix(prefix)?, *content)))
}

/// `dot-cargo/config.toml` is `.cargo/config.toml`: with its dot it would count in the repository, too.
fn dotted(path: &str) -> String {
    let parts: Vec<String> = path
        .split('/')
        .map(|part| part.strip_prefix("dot-").map_or_else(|| part.to_owned(), |rest| format!(".{rest}")))
        .collect();
    parts.join("/")
}

/// `acme-router`, `acme_router`, `AcmeRouter`
fn names(name: &str) -> [String; 3] {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    [name.to_owned(), name.replace('-', "_"), name.split('-').map(capital).collect()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use patchbay_artefact::Project;

    use super::*;

    const LANGUAGES: [Language; 4] = [Language::Rust, Language::Javascript, Language::Typescript, Language::Python];
    const ROLES: [Role; 3] = [Role::Handler, Role::Desk, Role::Inspector];

    #[test]
    fn every_project_can_be_read_and_has_a_name_of_its_own() {
        for (lang, role) in LANGUAGES.into_iter().flat_map(|lang| ROLES.map(|role| (lang, role))) {
            let folder = tempfile::tempdir().unwrap();
            for (path, content) in project(lang, role, "acme-router").unwrap() {
                super::super::write(&folder.path().join(&path), &content).unwrap();
                if !path.starts_with("sdk/") {
                    let text = String::from_utf8(content).unwrap();
                    assert!(!EXAMPLE.iter().any(|name| text.contains(name)), "{lang:?} {role:?} {path}: {text}");
                }
            }
            let project = Project::read(folder.path()).unwrap_or_else(|error| panic!("{lang:?} {role:?}: {error}"));
            assert_eq!(project.manifest().name, "acme-router");
            let golden = match role {
                Role::Handler | Role::Inspector => 2,
                Role::Desk => 5,
            };
            assert_eq!(project.golden().len(), golden);
            assert!(project.build.is_some());
            let source = folder.path().join("src").join(match lang {
                Language::Rust => "lib.rs",
                Language::Javascript => "index.js",
                Language::Typescript => "index.ts",
                Language::Python => "plugin.py",
            });
            assert!(source.is_file() && std::fs::read_dir(folder.path().join("src")).unwrap().count() == 1, "{lang:?}");
            assert!(folder.path().join(".gitignore").is_file() && folder.path().join("README.md").is_file());
        }
    }

    #[test]
    fn rusts_sdk_is_built_with_the_gateways_own_versions() {
        let root: toml::Table = toml::from_str(include_str!("../../../../../../Cargo.toml")).unwrap();
        let files = project(Language::Rust, Role::Handler, "x").unwrap();
        let sdk: toml::Table = toml::from_str(std::str::from_utf8(&files["sdk/Cargo.toml"]).unwrap()).unwrap();
        let of = |table: &toml::Table| table["workspace"]["dependencies"].as_table().unwrap().clone();
        let (root, sdk) = (of(&root), of(&sdk));
        for (name, version) in &sdk {
            if name != "patchbay-plugin-macros" {
                assert_eq!(Some(version), root.get(name), "{name}");
            }
        }
        // And nothing that the SDK asks for is missing.
        let asked: BTreeSet<String> = ["sdk/plugin-sdk/rust/Cargo.toml", "sdk/plugin-sdk/rust/macros/Cargo.toml"]
            .iter()
            .flat_map(|path| std::str::from_utf8(&files[*path]).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|line| Some(line.split_once(".workspace = true")?.0.to_owned()))
            .filter(|name| !["version", "edition", "rust-version", "license", "publish"].contains(&name.as_str()))
            .collect();
        for name in asked {
            assert!(sdk.contains_key(&name), "{name} is missing from the template's sdk/Cargo.toml");
        }
    }
}
