//! AWS signatures, checked by moto with AWS's own library for Python. What the plugin sends has gone through the real
//! runtime, and over a connection.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use anyhow::Result;
use patchbay_runtime::Credential;
use patchbay_runtime::credentials::AwsSigV4;
use patchbay_tests::foreign::Foreign;
use patchbay_tests::sandbox::Sandbox;

/// The key that moto gave, or the one that a role lends, for this service.
fn key(aws: &Foreign, which: &str, service: &str) -> Result<AwsSigV4> {
    let part = |number: usize| aws.text(&format!("/{which}/{number}")).map(ToOwned::to_owned);
    Ok(AwsSigV4 {
        access_key_id: part(0)?,
        secret_access_key: part(1)?.into(),
        session_token: part(2).ok().map(Into::into),
        region: "eu-central-1".into(),
        service: service.into(),
    })
}

async fn sandbox(aws: &Foreign, key: AwsSigV4) -> Result<Sandbox> {
    Sandbox::open(aws.port()?, Credential::AwsSigV4(key), None).await
}

/// Paths in S3: how a plugin's client writes them, and what S3 is to call them.
const KEYS: [(&str, &str); 9] = [
    ("plain", "plain"),
    ("with%20space", "with space"),
    ("a%2Bb", "a+b"),
    ("%C3%A4/%C3%B6", "ä/ö"),
    ("a//b", "a//b"),
    ("100%25", "100%"),
    ("tilde~-_.", "tilde~-_."),
    ("star%2A%27%28%29", "star*'()"),
    ("a%26b%3Dc%3Bd", "a&b=c;d"),
];

#[tokio::test]
async fn s3_takes_what_is_signed_for_it() -> Result<()> {
    let aws = Foreign::start("aws", &[])?;
    let url = aws.url()?;
    for which in ["key", "borrowed"] {
        let plugin = sandbox(&aws, key(&aws, which, "s3")?).await?;
        for (path, name) in KEYS {
            let put = plugin.ask(&format!("send PUT {url}/tickets/{path} {which}:{path}")).await?;
            assert_eq!(put["status"], "200", "{which} {path}: {put:?}");
            let got = plugin.ask(&format!("http GET {url}/tickets/{path}")).await?;
            assert_eq!((got["status"].as_str(), got["body"].as_str()), ("200", format!("{which}:{path}").as_str()));
            // It is there under the name that was meant, which the list says.
            let list = plugin.ask(&format!("http GET {url}/tickets?list-type=2&max-keys=100&prefix=")).await?;
            let escaped = name.replace('&', "&amp;");
            assert!(list["body"].contains(&format!("<Key>{escaped}</Key>")), "{name}: {}", list["body"]);
        }
        // Queries: out of order, without a value, with values that are encoded, and a header of S3's own.
        for query in ["prefix=a%2Bb&list-type=2", "list-type=2&delimiter=%2F&prefix=%C3%A4", "location", "acl="] {
            let got = plugin.ask(&format!("http GET {url}/tickets?{query} x-amz-meta-note=mine")).await?;
            assert_eq!(got["status"], "200", "{which} {query}: {got:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn other_services_take_bodies_and_queries() -> Result<()> {
    let aws = Foreign::start("aws", &[])?;
    let url = aws.url()?;
    for which in ["key", "borrowed"] {
        let queue = sandbox(&aws, key(&aws, which, "sqs")?).await?;
        let form = "content-type=application/x-www-form-urlencoded";
        // moto reads a form and writes it again before it looks at the signature: a space has to be a plus here.
        let send = "Action=SendMessage&Version=2012-11-05&MessageBody=a%26b+%C3%A4";
        let at = format!("{url}/123456789012/tickets");
        let sent = queue.ask(&format!("send POST {at} {send} {form}")).await?;
        assert_eq!(sent["status"], "200", "{which}: {sent:?}");
        let got = queue.ask(&format!("send POST {at} Action=ReceiveMessage&Version=2012-11-05 {form}")).await?;
        assert!(got["body"].contains("a&amp;b ä"), "{which}: {got:?}");
        let json = r#"{"QueueNamePrefix":"tick"}"#;
        let headers = "content-type=application/x-amz-json-1.0 x-amz-target=AmazonSQS.ListQueues";
        let list = queue.ask(&format!("send POST {url}/ {json} {headers}")).await?;
        assert!(list["status"] == "200" && list["body"].contains("/tickets"), "{which}: {list:?}");

        let who = sandbox(&aws, key(&aws, which, "sts")?).await?;
        // A query too, out of order and encoded.
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let asked = who.ask(&format!("send POST {url}/?b=2&a=%C3%A4%20%2F&empty= {body} {form}")).await?;
        assert_eq!(asked["status"], "200", "{which}: {asked:?}");
        let expected = if which == "key" { ":user/patchbay" } else { ":assumed-role/desk/test" };
        assert!(asked["body"].contains(expected), "{asked:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_signed_with_another_secret_is_refused() -> Result<()> {
    let aws = Foreign::start("aws", &[])?;
    let url = aws.url()?;
    let right = key(&aws, "key", "s3")?;
    let borrowed = key(&aws, "borrowed", "s3")?;
    for (code, wrong) in [
        ("SignatureDoesNotMatch", AwsSigV4 { secret_access_key: "another".to_owned().into(), ..right.clone() }),
        ("InvalidAccessKeyId", AwsSigV4 { access_key_id: "AKIDEXAMPLE".into(), ..right.clone() }),
        ("InvalidToken", AwsSigV4 { session_token: Some("ended".to_owned().into()), ..borrowed }),
    ] {
        let plugin = sandbox(&aws, wrong).await?;
        let answer = plugin.ask(&format!("http GET {url}/tickets/a%20b?list-type=2")).await?;
        assert!(matches!(answer["status"].as_str(), "400" | "403"), "{code}: {answer:?}");
        assert!(answer["body"].contains(&format!("<Code>{code}</Code>")), "{code}: {answer:?}");
    }
    let plugin = sandbox(&aws, right).await?;
    assert_eq!(plugin.ask(&format!("http GET {url}/tickets?list-type=2")).await?["status"], "200");
    Ok(())
}
