//! The documents that a registry keeps: those of the OCI image specification, as `wkg` fills them in for WebAssembly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::component::Outside;
use crate::digest::Digest;
use crate::manifest::Manifest;

/// The manifest of an image.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What is asked for when a manifest is fetched; an index only to say so when it is one.
pub(super) const ACCEPT: [&str; 3] =
    [MANIFEST, "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.index.v1+json"];
/// The configuration of a WebAssembly image.
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A component.
const WASM: &str = "application/wasm";
/// A component as it was called before the layout was agreed upon.
const OLD_WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The configuration of any other image; cosign gives its own this one.
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// cosign's payload.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where cosign puts the signature over a payload.
pub(super) const COSIGN_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Where the lines of `FILE.sig` are: on the component's layer, joined by commas.
pub(super) const FILE_SIGNATURES: &str = "patchbay.signatures";
/// Images are the same whenever they are made, so that pushing twice moves nothing.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// The manifest of an image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageManifest {
    pub(super) schema_version: u32,
    #[serde(default)]
    pub(super) media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// What something is, and how to find it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    /// Also of kinds that are not known here.
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(content).to_string(),
            size: content.len() as u64,
            annotations: BTreeMap::new(),
        }
    }

    pub(super) fn is_component(&self) -> bool {
        matches!(&*self.media_type, WASM | OLD_WASM)
    }

    pub(super) fn is_payload(&self) -> bool {
        self.media_type == SIMPLE_SIGNING
    }
}

/// A configuration of `application/vnd.wasm.config.v0+json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmConfig<'a> {
    created: &'a str,
    author: Option<&'a str>,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [String; 1],
    component: WasmComponent<'a>,
}

#[derive(Serialize)]
struct WasmComponent<'a> {
    exports: &'a [String],
    imports: &'a [String],
    target: Option<&'a str>,
}

/// The configuration and the manifest of a component's image.
pub(super) fn image(
    component: &[u8],
    outside: &Outside,
    about: Option<&Manifest>,
    signatures: &[String],
) -> Result<(Vec<u8>, ImageManifest), serde_json::Error> {
    let mut layer = Descriptor::of(WASM, component);
    let config = serde_json::to_vec(&WasmConfig {
        created: CREATED,
        author: None,
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [layer.digest.clone()],
        component: WasmComponent { exports: &outside.exports, imports: &outside.imports, target: None },
    })?;
    let mut annotations = BTreeMap::from([("org.opencontainers.image.created".to_owned(), CREATED.to_owned())]);
    if let Some(about) = about {
        annotations.insert("org.opencontainers.image.title".to_owned(), about.name.clone());
        annotations.insert("org.opencontainers.image.version".to_owned(), about.version.clone());
        if !about.description.is_empty() {
            annotations.insert("org.opencontainers.image.description".to_owned(), about.description.clone());
        }
        // The name under which clients for any artefact write the file.
        layer.annotations.insert("org.opencontainers.image.title".to_owned(), format!("{}.wasm", about.name));
    }
    if !signatures.is_empty() {
        layer.annotations.insert(FILE_SIGNATURES.to_owned(), signatures.join(","));
    }
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::of(WASM_CONFIG, &config),
        layers: vec![layer],
        annotations,
    };
    Ok((config, manifest))
}

/// A payload with its signature, as a layer of the image of signatures.
pub(super) fn signature_layer(payload: &[u8], signature: &str) -> Descriptor {
    let mut layer = Descriptor::of(SIMPLE_SIGNING, payload);
    layer.annotations.insert(COSIGN_SIGNATURE.to_owned(), signature.to_owned());
    layer
}

/// The configuration and the manifest of the image of signatures.
pub(super) fn signatures_image(layers: Vec<Descriptor>) -> Result<(Vec<u8>, ImageManifest), serde_json::Error> {
    #[derive(Serialize)]
    struct Config<'a> {
        architecture: &'a str,
        created: &'a str,
        os: &'a str,
        rootfs: RootFs<'a>,
        config: BTreeMap<String, String>,
    }
    #[derive(Serialize)]
    struct RootFs<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        diff_ids: Vec<&'a str>,
    }
    let diff_ids = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = serde_json::to_vec(&Config {
        architecture: "",
        created: CREATED,
        os: "",
        rootfs: RootFs { kind: "layers", diff_ids },
        config: BTreeMap::new(),
    })?;
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::of(IMAGE_CONFIG, &config),
        layers,
        annotations: BTreeMap::new(),
    };
    Ok((config, manifest))
}

/// The tag under which cosign keeps the signatures over a manifest.
pub(super) fn signature_tag(manifest: &Digest) -> String {
    format!("sha256-{}.sig", manifest.hex())
}
