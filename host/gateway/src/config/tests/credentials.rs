//! Credentials of every type, and what is wrong with those that cannot work.

use super::*;

/// A credential that a grant uses, in the good configuration.
fn with(credential: &str) -> String {
    format!(
        "{GOOD}[[plugins.acknowledge.grants.http]]\nhost = \"api.example.com\"\ncredential = \"x\"\n[credentials.x]\n{credential}\n"
    )
}

#[test]
fn every_type_is_read() {
    for credential in [
        "type = \"basic\"\nusername = \"ann\"\npassword = \"env:P\"",
        "type = \"bearer\"\ntoken = \"env:P\"",
        "type = \"header\"\nname = \"X-Key\"\nvalue = \"env:P\"",
        "type = \"oauth2-client-credentials\"\ntoken_url = \"https://a.example/token\"\nclient_id = \"c\"\nclient_secret = \
         \"env:P\"\nclient_auth = \"body\"\nscope = \"a b\"\nparameters = { audience = \"https://api.example.com\" }",
        "type = \"oauth2-refresh-token\"\ntoken_url = \"https://a.example/token\"\nrefresh_token = \"env:P\"\nscheme = \
         \"Zoho-oauthtoken\"",
        "type = \"oauth2-jwt-bearer\"\ntoken_url = \"https://a.example/token\"\nalgorithm = \"RS256\"\nprivate_key = \
         \"env:P\"\nissuer = \"i\"\nkey_id = \"k\"\nclaims = { scope = \"s\", n = 1 }",
        "type = \"oauth2-client-credentials\"\ntoken_url = \"http://127.0.0.1:9/token\"\nprivate_network = \
         true\nclient_id = \"c\"\nclient_secret = \"env:P\"",
        "type = \"aws-sigv4\"\naccess_key_id = \"A\"\nsecret_access_key = \"env:P\"\nsession_token = \"env:T\"\nregion = \
         \"eu-central-1\"\nservice = \"s3\"",
    ] {
        let checked = check(&with(credential));
        assert!(checked.problems.is_empty(), "{credential}: {}", checked.problems);
        assert!(checked.config.unwrap().credentials.contains_key("x"));
    }
}

#[test]
fn what_cannot_work_is_told() {
    let jwt = "type = \"oauth2-jwt-bearer\"\ntoken_url = \"https://a.example/token\"\nprivate_key = \"env:P\"\n";
    let client = "type = \"oauth2-client-credentials\"\nclient_id = \"c\"\nclient_secret = \"env:P\"\n";
    for (credential, expected) in [
        (format!("{jwt}algorithm = \"RS256\""), "the statement does not say who makes it"),
        (format!("{jwt}algorithm = \"RS512\"\nissuer = \"i\""), "`algorithm` does not take `RS512`"),
        (format!("{client}token_url = \"http://a.example/token\""), "over http:// anybody on the way can read"),
        (format!("{client}token_url = \"https://10.0.0.1/token\""), "add private_network = true"),
        (format!("{client}token_url = \"http://localhost:9/token\""), "add private_network = true"),
        (format!("{client}token_url = \"a.example/token\""), "credentials.x.token_url"),
        (client.to_owned(), "`token_url` is missing"),
        (
            "type = \"oauth2-refresh-token\"\ntoken_url = \"https://a.example/\"".to_owned(),
            "`refresh_token` is missing",
        ),
        ("type = \"oauth2\"".to_owned(), "`type` does not take `oauth2`"),
    ] {
        let found = problems(&with(&credential)).join("\n");
        assert!(found.contains(expected) && found.contains("error "), "{credential}: {found}");
    }
    let plain = format!("{client}token_url = \"http://a.example/token\"\nprivate_network = true");
    let found = problems(&with(&plain)).join("\n");
    assert!(found.starts_with("warning ") && found.contains("can be read on the way"), "{found}");
}

#[test]
fn a_private_key_has_several_lines_and_other_secrets_have_one() {
    let lines = |_: &str| Some(OsString::from("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"));
    let check = |text: &str| Config::from_toml("x.toml", text.to_owned(), Path::new("/"), Secrets::Required(&lines));
    let jwt = "type = \"oauth2-jwt-bearer\"\ntoken_url = \"https://a.example/token\"\nalgorithm = \"EdDSA\"\nissuer = \
               \"i\"\nprivate_key = \"env:P\"";
    let broken: Vec<String> = check(&with(jwt)).problems.as_slice().iter().map(|problem| problem.key.clone()).collect();
    assert!(!broken.is_empty() && !broken.iter().any(|key| key.contains("private_key")), "{broken:?}");

    let written = SecretRef::parse("env:P").unwrap();
    let one_line = |_: &str| Some(OsString::from("-----BEGIN-----\\nabc\\n-----END-----"));
    let key = written.resolve_lines_with(&one_line).unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&key), "-----BEGIN-----\nabc\n-----END-----");
    assert!(written.resolve_with(&lines).is_err());
}

#[test]
fn grants_have_a_quota_and_rehearsals() {
    let grants = "[plugins.acknowledge.grants]\nkeyvalue = \"1MiB\"\n[[plugins.acknowledge.grants.http]]\nhost = \
                  \"api.example.com\"\nrehearsal = true\n";
    let config = check(&format!("{GOOD}{grants}")).config.unwrap();
    let grants = &config.plugins["acknowledge"].grants;
    assert_eq!(grants.keyvalue.map(Size::get), Some(1 << 20));
    assert!(grants.http[0].rehearsal);
    let large = only("[plugins.acknowledge.grants]\nkeyvalue = \"1GiB\"\n");
    assert!(large.contains("plugins.acknowledge.grants.keyvalue | 1GiB is out of range"), "{large}");
}
