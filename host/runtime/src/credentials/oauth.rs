//! Asking a server for a token (RFC 6749), without the asking: the request, and what its answer means.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::token::NoToken;
use super::{Assertion, ClientAuth, Flow, OAuth2, assertion};
use crate::limits;

/// What a request needs beside the configuration.
pub(super) enum With {
    /// Nothing.
    Client,
    /// The refresh token that is good now.
    Refresh(SecretString),
    /// A statement signed for this request.
    Assertion(SecretString),
}

impl With {
    /// What of it nobody may read.
    pub(super) const fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::Client => None,
            Self::Refresh(secret) | Self::Assertion(secret) => Some(secret),
        }
    }
}

/// What a server gave.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access: SecretString,
    /// From now on.
    pub(super) lifetime: Duration,
    /// In the place of the one that was used.
    pub(super) refresh: Option<SecretString>,
}

/// Whether a token could ever be asked for with this; the error is a sentence without a subject.
pub(super) fn check(config: &OAuth2) -> Result<(), String> {
    match config.token_url.scheme() {
        "https" => {}
        "http" if config.private_network => {}
        "http" => return Err("asks for tokens over http://, where anybody can read them: write https://".into()),
        _ => return Err("has a token_url that is not https://".into()),
    }
    // A token of RFC 9110, section 5.6.2.
    if config.scheme.as_ref().is_some_and(|scheme| http::Method::from_bytes(scheme.as_bytes()).is_err()) {
        return Err("has a scheme that is not one word".into());
    }
    if config.token_url.host_str().is_none() || !config.token_url.username().is_empty() {
        return Err("has a token_url without a host, or with a user name in it".into());
    }
    match &config.flow {
        Flow::ClientCredentials if config.client_id.is_none() || config.client_secret.is_none() => {
            Err("needs a client_id and a client_secret".into())
        }
        Flow::JwtBearer(statement) => assertion::key(statement).map(drop),
        Flow::ClientCredentials | Flow::RefreshToken(_) => Ok(()),
    }
}

/// The request for a token.
pub(super) fn request(config: &OAuth2, with: &With) -> Result<Request<Bytes>, String> {
    let mut form = Serializer::new(String::new());
    match with {
        With::Client => form.append_pair("grant_type", "client_credentials"),
        With::Refresh(token) => {
            form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose_secret())
        }
        With::Assertion(signed) => form
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", signed.expose_secret()),
    };
    if let Some(scope) = &config.scope {
        form.append_pair("scope", scope);
    }
    for (name, value) in &config.parameters {
        form.append_pair(name, value);
    }
    let mut authorization = None;
    match (&config.client_id, &config.client_secret, config.client_auth) {
        (Some(id), Some(secret), ClientAuth::Basic) => {
            // Both are encoded like a form's values first: they may hold a colon (RFC 6749, section 2.3.1). A space as `%20`,
            // which every server decodes; `+` is one to some only (Authlib takes it for a plus).
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
            let pair = BASE64.encode(format!("{}:{}", encode(id), encode(secret.expose_secret())));
            let mut value = HeaderValue::try_from(format!("Basic {pair}")).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            authorization = Some(value);
        }
        (Some(id), secret, _) => {
            form.append_pair("client_id", id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret.expose_secret());
            }
        }
        (None, ..) => {}
    }
    let mut request = Request::new(Bytes::from(form.finish()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = config.token_url.as_str().parse().map_err(|_| "the token_url cannot be used".to_owned())?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// What the server's answer means. Nothing of the body gets into the error but its error code, and that only if it has
/// nothing in common with the `secrets` that were sent there.
pub(super) fn answer(status: StatusCode, body: &[u8], secrets: &[SecretString]) -> Result<Granted, NoToken> {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let error = text("error");
    // Zoho, GitHub and Slack say what is wrong in an answer that is 200.
    if !status.is_success() || (text("access_token").is_none() && error.is_some()) {
        let code = error.filter(|code| is_code(code, secrets)).map_or_else(String::new, |code| format!(" `{code}`"));
        let why = format!("it answered {}{code}", status.as_u16());
        let refused = match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => false,
            other if other.is_success() => error.is_some_and(refuses),
            other => other.is_client_error(),
        };
        return Err(if refused { NoToken::Refused(why) } else { NoToken::Unavailable(why) });
    }
    let Some(access) = text("access_token") else {
        return Err(NoToken::Unavailable("its answer has no access_token".into()));
    };
    if HeaderValue::from_str(access).is_err() {
        return Err(NoToken::Unavailable("its token has letters that no header can have".into()));
    }
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(NoToken::Unavailable("its token is no bearer token".into()));
    }
    // A number by the standard, a text in the wild.
    let seconds = json.get("expires_in").and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    Ok(Granted {
        access: access.to_owned().into(),
        lifetime: seconds.map_or(limits::TOKEN_LIFETIME, Duration::from_secs),
        refresh: text("refresh_token").map(|token| token.to_owned().into()),
    })
}

/// Error codes are words (RFC 6749, section 5.2; Zoho has one with a space); what is not one might be anything, and so
/// might be what the server says of what it was sent.
fn is_code(text: &str, secrets: &[SecretString]) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' ');
    let told = |secret: &SecretString| {
        let secret = secret.expose_secret();
        secret.contains(text) || text.contains(secret)
    };
    text.len() <= 64 && text.bytes().all(letter) && !secrets.iter().any(told)
}

/// Whether a code in an answer that is 200 means that the credential is not taken, by its first word: `invalid_code` and
/// `invalid_client` of Zoho, `bad_refresh_token` and `incorrect_client_credentials` of GitHub, and those of RFC 6749.
/// Others, such as Zoho's `Access Denied` after too many tokens, go away by themselves.
fn refuses(code: &str) -> bool {
    ["invalid", "unauthorized", "unsupported", "bad", "incorrect"].iter().any(|word| code.starts_with(word))
}

/// Signs the statement that is asked with.
pub(super) fn signed(statement: &Assertion) -> Result<With, NoToken> {
    let id = format!("{:032x}", rand::random::<u128>());
    assertion::sign(statement, std::time::SystemTime::now(), &id).map(With::Assertion).map_err(NoToken::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn config(client_auth: ClientAuth) -> OAuth2 {
        OAuth2 {
            name: "crm".into(),
            token_url: "https://login.example.com/token".parse().unwrap(),
            client_id: Some("app:1".into()),
            client_secret: Some("p w".to_owned().into()),
            client_auth,
            flow: Flow::ClientCredentials,
            scope: Some("read write".into()),
            parameters: BTreeMap::from([("audience".to_owned(), "https://api.example.com".to_owned())]),
            scheme: None,
            private_network: false,
        }
    }

    fn form(request: &Request<Bytes>) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(request.body()).into_owned().collect()
    }

    #[test]
    fn the_client_says_who_it_is_in_a_header_or_in_the_form() {
        let basic = request(&config(ClientAuth::Basic), &With::Client).unwrap();
        // base64 of `app%3A1:p%20w`
        assert_eq!(basic.headers()[AUTHORIZATION], "Basic YXBwJTNBMTpwJTIwdw==");
        let fields = form(&basic);
        assert_eq!(fields["grant_type"], "client_credentials");
        assert_eq!((fields["scope"].as_str(), fields["audience"].as_str()), ("read write", "https://api.example.com"));
        assert!(!fields.contains_key("client_secret"), "{fields:?}");

        let body = request(&config(ClientAuth::Body), &With::Refresh("r&1".to_owned().into())).unwrap();
        assert!(!body.headers().contains_key(AUTHORIZATION));
        let fields = form(&body);
        assert_eq!((fields["grant_type"].as_str(), fields["refresh_token"].as_str()), ("refresh_token", "r&1"));
        assert_eq!((fields["client_id"].as_str(), fields["client_secret"].as_str()), ("app:1", "p w"));
    }

    #[test]
    fn answers_are_tokens_refusals_or_troubles() {
        let ok = |body: &str| answer(StatusCode::OK, body.as_bytes(), &[]);
        let granted =
            ok(r#"{"access_token":"a","token_type":"Bearer","expires_in":"120","refresh_token":"r"}"#).unwrap();
        assert_eq!((granted.access.expose_secret(), granted.lifetime.as_secs()), ("a", 120));
        assert_eq!(granted.refresh.unwrap().expose_secret(), "r");
        assert_eq!(ok(r#"{"access_token":"a"}"#).unwrap().lifetime, limits::TOKEN_LIFETIME);
        for odd in ["", "{}", r#"{"access_token":"a\nb"}"#, r#"{"access_token":"a","token_type":"mac"}"#] {
            assert!(matches!(ok(odd), Err(NoToken::Unavailable(_))), "{odd}");
        }
        let refused = answer(StatusCode::BAD_REQUEST, br#"{"error":"invalid_grant","error_description":"p w"}"#, &[]);
        let Err(NoToken::Refused(why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why, "it answered 400 `invalid_grant`");
        let echo = answer(StatusCode::UNAUTHORIZED, br#"{"error":"no such secret: p w"}"#, &[]);
        assert!(matches!(&echo, Err(NoToken::Refused(why)) if why == "it answered 401"), "{echo:?}");
        for later in [StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY, StatusCode::FOUND] {
            assert!(matches!(answer(later, b"", &[]), Err(NoToken::Unavailable(_))), "{later}");
        }
    }

    /// As Zoho and GitHub document it.
    #[test]
    fn an_answer_of_200_may_be_an_error() {
        let said = |error: &str| {
            let body = serde_json::json!({ "error": error, "error_description": "secret", "status": "failure" });
            answer(StatusCode::OK, body.to_string().as_bytes(), &[])
        };
        for refused in ["invalid_code", "invalid_client", "invalid_client_secret", "bad_refresh_token"] {
            assert_eq!(said(refused).unwrap_err(), NoToken::Refused(format!("it answered 200 `{refused}`")));
        }
        for later in ["Access Denied", "general_error"] {
            assert_eq!(said(later).unwrap_err(), NoToken::Unavailable(format!("it answered 200 `{later}`")));
        }
    }

    #[test]
    fn what_is_echoed_as_an_error_code_is_not_said() {
        let secrets = [SecretString::from("S3cretS3cret"), "another-secret".to_owned().into()];
        for echo in ["S3cretS3cret", "bad_secret_S3cretS3cret.", "S3cret", "another-secret"] {
            for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::BAD_GATEWAY] {
                let body = format!(r#"{{"error":"{echo}"}}"#);
                let why = answer(status, body.as_bytes(), &secrets).unwrap_err().to_string();
                assert!(why.ends_with(&format!("it answered {}", status.as_u16())), "{why}");
            }
        }
    }

    #[test]
    fn what_could_never_be_asked_for_is_refused_at_once() {
        let mut plain = config(ClientAuth::Basic);
        assert_eq!(check(&plain), Ok(()));
        plain.token_url = "http://login.example.com/token".parse().unwrap();
        assert!(check(&plain).unwrap_err().contains("https://"));
        plain.private_network = true;
        assert_eq!(check(&plain), Ok(()));
        plain.client_secret = None;
        assert!(check(&plain).unwrap_err().contains("client_secret"));
    }
}
