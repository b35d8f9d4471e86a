//! Keys and signatures, against OpenSSL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use patchbay_artefact::key::KeyError;
use patchbay_artefact::{Algorithm, Digest, Signature, SigningKey, VerifyingKey, signature};
use secrecy::ExposeSecret as _;

const BOTH: [Algorithm; 2] = [Algorithm::EcdsaP256, Algorithm::Ed25519];
const CONTENT: &[u8] = b"a component's bytes";

/// Runs OpenSSL in this folder; gives what it printed, if it was content.
fn openssl(folder: &Path, arguments: &str) -> Option<String> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().expect("openssl");
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn generate(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out theirs.key",
        Algorithm::Ed25519 => "genpkey -algorithm ED25519 -out theirs.key",
    }
}

fn sign(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "dgst -sha256 -sign theirs.key -out signature content",
        Algorithm::Ed25519 => "pkeyutl -sign -rawin -inkey theirs.key -in content -out signature",
    }
}

fn verify(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256 => "dgst -sha256 -verify ours.pub -signature signature content",
        Algorithm::Ed25519 => "pkeyutl -verify -rawin -pubin -inkey ours.pub -in content -sigfile signature",
    }
}

#[test]
fn openssl_verifies_what_we_sign() {
    for algorithm in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let key = SigningKey::generate(algorithm).unwrap();
        std::fs::write(file("ours.key"), key.to_pem().unwrap().expose_secret()).unwrap();
        std::fs::write(file("ours.pub"), key.public().to_pem()).unwrap();
        std::fs::write(file("content"), CONTENT).unwrap();
        // The form of `FILE.sig`.
        let line = Signature::make(CONTENT, &key).unwrap().to_line();
        std::fs::write(file("signature"), BASE64_STANDARD.decode(line).unwrap()).unwrap();
        assert!(openssl(folder.path(), verify(algorithm)).is_some(), "{algorithm}");
        let derived = openssl(folder.path(), "pkey -in ours.key -pubout").unwrap();
        assert_eq!(derived, key.public().to_pem(), "{algorithm}");
        openssl(folder.path(), "pkey -pubin -in ours.pub -outform DER -out ours.der").unwrap();
        let id = Digest::of(&std::fs::read(file("ours.der")).unwrap()).hex();
        assert_eq!((key.public().id().full(), key.public().id().to_string()), (id.clone(), id[..16].to_owned()));
        std::fs::write(file("content"), b"other bytes").unwrap();
        assert!(openssl(folder.path(), verify(algorithm)).is_none(), "{algorithm}");
    }
}

#[test]
fn we_verify_what_openssl_signs_and_sign_with_its_keys() {
    for algorithm in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("content"), CONTENT).unwrap();
        openssl(folder.path(), generate(algorithm)).unwrap();
        let public = VerifyingKey::from_pem(&openssl(folder.path(), "pkey -in theirs.key -pubout").unwrap()).unwrap();
        assert_eq!(public.algorithm(), algorithm);
        openssl(folder.path(), sign(algorithm)).unwrap();
        let theirs = std::fs::read(file("signature")).unwrap();
        assert!(public.verify(CONTENT, &theirs), "{algorithm}");
        assert!(!public.verify(b"other bytes", &theirs), "{algorithm}");
        let key = SigningKey::from_pem(&std::fs::read_to_string(file("theirs.key")).unwrap()).unwrap();
        assert_eq!(*key.public(), public);
        assert!(public.verify(CONTENT, &key.sign(CONTENT).unwrap()), "{algorithm}");
    }
}

#[test]
fn a_key_is_read_as_it_was_written() {
    for algorithm in BOTH {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::from_pem(key.to_pem().unwrap().expose_secret()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(VerifyingKey::from_pem(&key.public().to_pem()).as_ref(), Ok(key.public()));
        assert_ne!(SigningKey::generate(algorithm).unwrap().public(), key.public());
        let secret = key.to_pem().unwrap().expose_secret().lines().nth(1).unwrap().to_owned();
        assert!(!format!("{key:?}").contains(&secret[..20]));
    }
}

#[test]
fn other_texts_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let made = |arguments: &str| openssl(folder.path(), arguments).unwrap();
    let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    let (private, public) = (key.to_pem().unwrap().expose_secret().to_owned(), key.public().to_pem());
    let of_private = |text: &str| SigningKey::from_pem(text).map(|_| ()).unwrap_err();
    let of_public = |text: &str| VerifyingKey::from_pem(text).unwrap_err();
    assert_eq!(of_private(&public), KeyError::Public);
    assert_eq!(of_public(&private), KeyError::Private);
    assert!(matches!(of_private("hello"), KeyError::Absent("PRIVATE KEY")));
    assert!(matches!(of_public("hello"), KeyError::Absent("PUBLIC KEY")));
    made("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out other");
    assert_eq!(of_private(&made("pkey -in other")), KeyError::Other);
    assert_eq!(of_public(&made("pkey -in other -pubout")), KeyError::Other);
    assert_eq!(of_private(&made("ecparam -name prime256v1 -genkey -noout")), KeyError::Old);
    assert_eq!(of_private(&made("genpkey -algorithm ED25519 -aes-256-cbc -pass pass:word")), KeyError::Encrypted);
    assert_eq!(of_private("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n-----END"), KeyError::Encrypted);
    assert_eq!(of_private(&private.replacen("MI", "!!", 1)), KeyError::Damaged);
    assert_eq!(of_private(&private.replace("-----END PRIVATE KEY-----", "")), KeyError::Damaged);
    // 65 bytes that are no point of the curve.
    let mut spki =
        BASE64_STANDARD.decode(public.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
    spki[90] ^= 1;
    let text = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(spki));
    assert_eq!(of_public(&text), KeyError::Damaged);
    for error in [KeyError::Old, KeyError::Encrypted, KeyError::Private, KeyError::Public, KeyError::Other] {
        assert!(!error.to_string().contains(private.lines().nth(1).unwrap()));
    }
}

#[test]
fn a_file_holds_several_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let file = signature::file_of(&folder.path().join("a.wasm"));
    assert!(file.ends_with("a.wasm.sig"));
    assert_eq!(signature::read(&file).unwrap(), []);
    let keys = BOTH.map(|algorithm| SigningKey::generate(algorithm).unwrap());
    let made: Vec<_> = keys.iter().map(|key| Signature::make(CONTENT, key).unwrap()).collect();
    signature::write(&file, &made).unwrap();
    let read = signature::read(&file).unwrap();
    assert_eq!(read, made);
    let digest = Digest::of(CONTENT);
    for (one, key) in read.iter().zip(&keys) {
        assert!(one.is_by(key.public(), CONTENT, &digest));
    }
    assert!(!read[0].is_by(keys[1].public(), CONTENT, &digest));
    std::fs::write(&file, format!("{}\n\nno signature!\n", made[0].to_line())).unwrap();
    let said = signature::read(&file).unwrap_err().to_string();
    assert!(said.contains("a.wasm.sig, line 3"), "{said}");
    std::fs::write(&file, "AAAA\n".repeat(33)).unwrap();
    assert!(signature::read(&file).unwrap_err().to_string().contains("more than 32"));
}
