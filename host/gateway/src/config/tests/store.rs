//! Where durable state is kept: what each kind of store needs, and for how long.

use super::*;

const REDIS: &str = "[store]\nkind = \"redis\"\npartitions = 64\n[store.redis]\naddresses = [\"127.0.0.1:6379\"]\n";

fn with(more: &str) -> Vec<String> {
    problems(&format!("{GOOD}{REDIS}{more}"))
}

#[test]
fn the_defaults_of_a_redis() {
    let config = check(&format!("{GOOD}{REDIS}")).config.unwrap();
    assert_eq!(with(""), Vec::<String>::new());
    let redis = config.store.redis.unwrap();
    assert_eq!(config.store.kind, StoreKind::Redis);
    assert_eq!((redis.mode, redis.master.as_str(), redis.prefix.as_str()), (RedisMode::Standalone, "mymaster", "pb"));
    assert_eq!((redis.database, redis.replicas, redis.lease), (0, 0, Period::seconds(10)));
    assert!(!redis.tls && !config.spool.accept && !config.store.quick_repair);
    assert_eq!(config.retention.raw, Period::days(30));
}

#[test]
fn a_redis_has_to_be_somewhere() {
    assert_eq!(
        only("[store]\nkind = \"redis\"\npartitions = 64\n"),
        "error 15:8 store.kind | `kind` is `redis`, and nothing says where it is | add a section [store.redis] with \
         addresses = [\"redis.example.com:6379\"]"
    );
    let address = |address: &str| {
        let text = format!("{GOOD}{}", REDIS.replace("127.0.0.1:6379", address));
        problems(&text).join("\n")
    };
    for good in ["127.0.0.1:6379", "localhost:1", "[::1]:6379"] {
        assert_eq!(address(good), "", "{good}");
    }
    for (bad, fix) in [
        ("10.0.0.1", "write the host and the port, for example \"10.0.0.1:6379\""),
        ("redis://a.b:6379/0", "write the host and the port, for example \"a.b:6379\""),
        ("a.b:0", "write the host and the port, for example \"redis.example.com:6379\""),
        ("a.b:70000", "write the host and the port, for example \"redis.example.com:6379\""),
    ] {
        let found = address(bad);
        assert!(found.starts_with("error 18:14 store.redis.addresses[0]") && found.ends_with(fix), "{found}");
    }
    let url = address("redis://:hunter2@a.b:6379");
    assert!(url.starts_with("error ") && !url.contains("hunter2"), "{url}");
    assert!(
        address("redis.example.com:6379")
            .contains("warning 18:14 store.redis.addresses[0] | whoever reaches this Redis")
    );
}

#[test]
fn what_does_not_fit_a_kind_of_redis() {
    for (more, expected) in [
        ("mode = \"cluster\"\ndatabase = 1\n", "error 20:12 store.redis.database | a Redis Cluster has no database 1"),
        ("lease = \"2s\"\n", "error 19:9 store.redis.lease | 2s is out of range | write a duration from 3s to 5m"),
        ("lease = \"6m\"\n", "error 19:9 store.redis.lease | 6m is out of range"),
        ("username = \"x\"\n", "error 19:12 store.redis.username | a user without a password"),
        ("sentinel_password = \"env:X\"\n", "warning 19:21 store.redis.sentinel_password | no Sentinel is asked"),
        ("tls_ca = \"ca.pem\"\n", "warning 19:10 store.redis.tls_ca | without `tls` nothing is encrypted"),
        ("replicas = 6\n", "error 19:12 store.redis.replicas | `replicas` is out of range"),
        ("password = \"hunter2\"\n", "error 19:12 store.redis.password | a secret does not stand in this file"),
    ] {
        let found = with(more);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with(expected), "{found:#?}");
    }
    let two = REDIS.replace("\"127.0.0.1:6379\"", "\"127.0.0.1:1\", \"127.0.0.1:2\"");
    let found = problems(&format!("{GOOD}{two}"));
    assert!(found[0].starts_with("error 18:1 store.redis.addresses | 2 addresses, and one server"), "{found:#?}");
}

#[test]
fn what_only_the_other_store_uses_is_a_warning() {
    for (more, expected) in [
        ("[spool]\naccept = true\n", "spool.accept | the embedded store is on this machine already"),
        (
            "[store.redis]\naddresses = [\"localhost:1\"]\n",
            "store.redis | the store is the embedded one: nothing uses this section",
        ),
    ] {
        let found = only(more);
        assert!(found.starts_with("warning ") && found.contains(expected), "{found}");
    }
    let redis = |setting: &str| {
        let text = REDIS.replace("partitions = 64", setting);
        problems(&format!("{GOOD}{text}")).join("\n")
    };
    for (setting, expected) in [
        ("partitions = 64\npath = \"x\"", "warning 17:8 store.path | the store is a Redis"),
        ("partitions = 64\nquick_repair = true", "warning 17:16 store.quick_repair | the store is a Redis"),
        ("partitions = 8", "warning 16:14 store.partitions | 8 partitions cannot be shared"),
    ] {
        let found = redis(setting);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn times_and_sizes_within_reason() {
    assert_eq!(
        only("[retention]\nraw = \"1m\"\n"),
        "error 15:7 retention.raw | 1m is out of range | write a duration from 1h to 36500d"
    );
    assert!(only("[retention]\nconversations = \"12h\"\n").contains("write a duration from 1d to 36500d"));
    assert!(only("[spool]\nmax = \"1KiB\"\n").starts_with("error 15:7 spool.max | 1KiB is out of range"));
    assert!(only("[gateway]\nnode_name = \"Front Desk\"\n").starts_with("error 15:13 gateway.node_name"));
}
