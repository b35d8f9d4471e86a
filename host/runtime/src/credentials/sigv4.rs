//! AWS Signature Version 4, by the crate that AWS's own SDK signs with.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;

use super::AwsSigV4;

/// What AWS's own headers begin with. A plugin's are dropped where they are the signature's, and signed otherwise.
const AMZ: &str = "x-amz-";

/// The service whose rules differ: paths are signed as they are, and a body need not be.
const S3: &str = "s3";

/// Signs requests with one key.
pub(crate) struct Signer {
    config: AwsSigV4,
}

/// What is signed of the body.
pub(crate) enum Payload<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// Nothing: TLS protects it.
    Unsigned,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("service", &self.config.service).finish_non_exhaustive()
    }
}

impl Signer {
    /// Fails with a sentence where a part cannot stand in a header.
    pub(super) fn new(config: &AwsSigV4) -> Result<Self, String> {
        let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if !word(&config.access_key_id) || !word(&config.region) || !word(&config.service) {
            return Err("has an access_key_id, region or service with letters not allowed".into());
        }
        let token = config.session_token.as_ref();
        if token.is_some_and(|token| HeaderValue::from_str(token.expose_secret()).is_err()) {
            return Err("has a session_token with letters that no header can have".into());
        }
        Ok(Self { config: config.clone() })
    }

    /// Whether a body may leave without a signature. S3 alone allows it, and only TLS makes it safe.
    pub(crate) fn leaves_body_out(&self, https: bool) -> bool {
        https && self.config.service == S3
    }

    /// Signs a request that nobody changes any more. Gives the signature, which is good for this request for some
    /// minutes and must not be shown.
    pub(crate) fn sign(&self, parts: &mut Parts, payload: Payload<'_>, now: SystemTime) -> Result<String, String> {
        for name in [
            AUTHORIZATION,
            HeaderName::from_static("x-amz-date"),
            HeaderName::from_static("x-amz-security-token"),
            HeaderName::from_static("x-amz-content-sha256"),
        ] {
            parts.headers.remove(name);
        }
        // The one that the client would set: the port only where it is not the scheme's own.
        let authority = parts.uri.authority().ok_or("the request has no host")?;
        let usual = if parts.uri.scheme_str() == Some("https") { 443 } else { 80 };
        let host = match authority.port_u16().filter(|port| *port != usual) {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        parts.headers.insert(HOST, HeaderValue::try_from(host).map_err(|error| error.to_string())?);

        let key = &self.config;
        let token = key.session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let secret = key.secret_access_key.expose_secret();
        let identity = Credentials::new(&key.access_key_id, secret, token, None, "patchbay").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&key.region)
            .name(&key.service)
            .time(now)
            .settings(self.settings())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        // What a proxy on the way may change is not signed.
        let signed = |name: &HeaderName| *name == HOST || *name == CONTENT_TYPE || name.as_str().starts_with(AMZ);
        let headers: Vec<_> = parts
            .headers
            .iter()
            .filter(|(name, _)| signed(name))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let body = match payload {
            Payload::Bytes(bytes) => SignableBody::Bytes(bytes),
            Payload::Unsigned => SignableBody::UnsignedPayload,
        };
        let uri = parts.uri.to_string();
        let request = SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), body);
        let request = request.map_err(|error| error.to_string())?;
        let (instructions, signature) = sign(request, &params).map_err(|error| error.to_string())?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::try_from(header.value()).map_err(|error| error.to_string())?;
            value.set_sensitive(header.sensitive() || header.name() == AUTHORIZATION.as_str());
            parts.headers.insert(header.name(), value);
        }
        Ok(signature)
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.config.service == S3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::time::{Duration, UNIX_EPOCH};

    fn signer(service: &str, token: Option<&str>) -> Signer {
        let (id, secret) = match service {
            S3 => ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            _ => ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        };
        let config = AwsSigV4 {
            access_key_id: id.into(),
            secret_access_key: secret.to_owned().into(),
            session_token: token.map(|token| token.to_owned().into()),
            region: "us-east-1".into(),
            service: service.into(),
        };
        Signer::new(&config).unwrap()
    }

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// AWS's published test suite for Signature Version 4: 2015-08-30T12:36:00Z.
    #[test]
    fn the_published_vectors() {
        let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (method, path, headers, body, token, expected) in [
            ("GET", "/", &[][..], "", None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "/", &[], "", None, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "",
                None,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            ("GET", "/", &[], "", Some(token), "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
            (
                "POST",
                "/",
                &form,
                "Param1=value1",
                None,
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            let mut parts = parts(method, &format!("https://example.amazonaws.com{path}"), headers);
            let signature = signer("service", token).sign(&mut parts, Payload::Bytes(body.as_bytes()), now).unwrap();
            assert_eq!(signature, expected, "{method} {path}");
            assert!(parts.headers[AUTHORIZATION].is_sensitive());
            assert_eq!(parts.headers["x-amz-date"], "20150830T123600Z");
        }
    }

    /// The examples in the S3 manual: 2013-05-24T00:00:00Z.
    #[test]
    fn the_examples_of_s3() {
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        for (query, expected) in [
            ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let mut parts = parts("GET", &format!("https://examplebucket.s3.amazonaws.com/?{query}"), &[]);
            assert_eq!(signer(S3, None).sign(&mut parts, Payload::Bytes(b""), now).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_a_plugin_writes_there_is_replaced_and_the_port_counts() {
        let forged = [("x-amz-date", "19700101T000000Z"), ("authorization", "mine"), ("x-amz-content-sha256", "mine")];
        let mut request = parts("PUT", "http://localhost:9000/bucket/key", &forged);
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let signer = signer(S3, None);
        assert!(signer.leaves_body_out(true) && !signer.leaves_body_out(false));
        signer.sign(&mut request, Payload::Unsigned, now).unwrap();
        assert_eq!(request.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
        assert_eq!(request.headers["x-amz-date"], "20130524T000000Z");
        assert_eq!(request.headers[HOST], "localhost:9000");
        assert_eq!(request.headers.get_all(AUTHORIZATION).iter().count(), 1);
        assert!(request.headers[AUTHORIZATION].to_str().unwrap().starts_with("AWS4-HMAC-SHA256 Credential=AKIA"));
    }
}
