use std::time::Duration;

use tokio_postgres::config::{LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use super::*;
use Verification::{Authority, AuthorityAndName, Unverified};

fn with(query: &str) -> DatabaseUrl {
    parse(&format!("postgres://u:p@db.example.com/d?{query}"))
}

#[test]
fn tls_mode_follows_every_dialect() {
    let table = [
        ("", SslMode::Prefer, Some(Unverified)),
        ("sslmode=disable", SslMode::Disable, None),
        ("sslmode=allow", SslMode::Prefer, Some(Unverified)),
        ("sslmode=prefer", SslMode::Prefer, Some(Unverified)),
        ("sslmode=require", SslMode::Require, Some(Unverified)),
        ("sslmode=no-verify", SslMode::Require, Some(Unverified)),
        ("sslmode=verify-ca", SslMode::VerifyCa, Some(Authority)),
        ("sslmode=verify-full", SslMode::VerifyFull, Some(AuthorityAndName)),
        ("sslmode=require&sslrootcert=/ca.pem", SslMode::Require, Some(Authority)),
        ("sslmode=no-verify&sslrootcert=/ca.pem", SslMode::Require, Some(Unverified)),
        ("sslrootcert=system", SslMode::VerifyFull, Some(AuthorityAndName)),
        ("sslmode=require&sslrootcert=system", SslMode::VerifyFull, Some(AuthorityAndName)),
        ("ssl=true", SslMode::Require, Some(Unverified)),
        ("ssl=1", SslMode::Require, Some(Unverified)),
        ("ssl=false", SslMode::Disable, None),
        ("ssl=require", SslMode::Require, Some(Unverified)),
        ("ssl=verify-full", SslMode::VerifyFull, Some(AuthorityAndName)),
        ("ssl=no-verify", SslMode::Require, Some(Unverified)),
        ("ssl=false&sslmode=require", SslMode::Require, Some(Unverified)),
        ("sslmode=disable&ssl=verify-ca", SslMode::Disable, None),
        ("sslmode=require&sslaccept=strict", SslMode::VerifyFull, Some(AuthorityAndName)),
        ("sslmode=require&sslaccept=accept_invalid_certs", SslMode::Require, Some(Unverified)),
        ("channel_binding=require", SslMode::Require, Some(Unverified)),
        ("sslmode=verify-full&channel_binding=require", SslMode::VerifyFull, Some(AuthorityAndName)),
        ("sslnegotiation=direct", SslMode::Require, Some(Unverified)),
    ];
    for (query, mode, verification) in table {
        let url = with(query);
        assert_eq!(url.ssl_mode(), mode, "{query}");
        assert_eq!(url.verification(false), verification, "{query}");
    }
}

#[test]
fn jdbc_ssl_means_verify_full_unless_a_factory_accepts_anything() {
    let jdbc = |query: &str| parse(&format!("jdbc:postgresql://h/d?user=u&{query}"));
    let non_validating = "ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory";
    assert_eq!(jdbc("ssl=true").ssl_mode(), SslMode::VerifyFull);
    assert_eq!(jdbc("ssl").ssl_mode(), SslMode::VerifyFull);
    assert_eq!(jdbc("ssl=true&sslmode=require").ssl_mode(), SslMode::Require);
    assert_eq!(jdbc(non_validating).verification(true), Some(Unverified));
    assert_eq!(jdbc(non_validating).ssl_mode(), SslMode::Require);
}

#[test]
fn a_root_certificate_makes_require_verify_the_authority() {
    assert_eq!(with("sslmode=require").verification(true), Some(Authority));
    assert_eq!(with("").verification(true), Some(Authority));
    assert_eq!(with("sslmode=verify-full").verification(true), Some(AuthorityAndName));
    assert_eq!(with("sslmode=no-verify").verification(true), Some(Unverified));
    assert_eq!(with("sslmode=disable").verification(true), None);
}

#[test]
fn an_unverified_server_is_warned_of_unless_asked_for_or_local() {
    let warns = |text: &str, ca: bool| parse(text).unverified_warning(ca).is_some();
    assert!(warns("postgres://u@db.example.com/d", false));
    assert!(warns("postgres://u@db.example.com/d?sslmode=require", false));
    assert!(!warns("postgres://u@db.example.com/d?sslmode=require", true));
    assert!(!warns("postgres://u@db.example.com/d?sslmode=no-verify", false));
    assert!(!warns("postgres://u@db.example.com/d?sslmode=verify-ca", false));
    assert!(!warns("postgres://u@db.example.com/d?sslmode=disable", false));
    assert!(!warns("postgres://u@localhost/d", false));
    assert!(!warns("postgres://u@127.0.0.1/d", false));
    assert!(!warns("postgres://u@%2Frun/d", false));
}

#[test]
fn tls_switched_off_and_asked_for_is_refused() {
    for (parameter, key) in [
        ("channel_binding=require", "channel_binding"),
        ("sslnegotiation=direct", "sslnegotiation"),
        ("sslrootcert=system", "sslrootcert"),
        ("sslaccept=strict", "sslaccept"),
    ] {
        let text = format!("postgres://u@h/d?sslmode=disable&{parameter}");
        assert_eq!(error(&text), DatabaseUrlError::NeedsTls { key }, "{text}");
    }
}

#[test]
fn values_that_decide_safety_are_refused_when_not_understood() {
    for parameter in
        ["sslmode=verify_everything", "ssl=maybe", "channel_binding=yes", "sslnegotiation=fast", "hostaddr=h"]
    {
        let text = format!("postgres://u@h/d?{parameter}");
        assert!(matches!(error(&text), DatabaseUrlError::BadValue { .. }), "{text}");
    }
}

#[test]
fn a_socket_has_no_tls() {
    assert_eq!(parse("postgres:///d?host=/run/postgresql&sslmode=require").ssl_mode(), SslMode::Disable);
}

#[test]
fn times_are_read_in_each_dialects_unit() {
    let seconds = |s| Some(Duration::from_secs(s));
    let table = [
        ("statement_timeout=5000", seconds(5)),
        ("statement_timeout=5s", seconds(5)),
        ("statement_timeout=2min", seconds(120)),
        ("statement_timeout=0", None),
        ("options=-c%20statement_timeout%3D5s", seconds(5)),
        ("options=--statement_timeout=250", Some(Duration::from_millis(250))),
        ("query_timeout=1000", seconds(1)),
        ("socket_timeout=7", seconds(7)),
        ("socketTimeout=7", seconds(7)),
    ];
    for (query, expected) in table {
        assert_eq!(with(query).statement_timeout(), expected, "{query}");
    }
    assert_eq!(with("connect_timeout=10").connect_timeout(), seconds(10));
    assert_eq!(with("connectTimeout=10").connect_timeout(), seconds(10));
    assert_eq!(with("connect_timeout=0").connect_timeout(), None);
    assert_eq!(parse("Host=h;Timeout=3;Command Timeout=4").connect_timeout(), seconds(3));
    assert_eq!(parse("Host=h;Timeout=3;Command Timeout=4").statement_timeout(), seconds(4));

    let odd = with("connect_timeout=soon&statement_timeout=99999999999999999999");
    assert_eq!((odd.connect_timeout(), odd.statement_timeout()), (None, None));
    assert_eq!(warned(&odd), ["connect_timeout", "statement_timeout"]);
}

#[test]
fn each_parameter_that_is_not_obeyed_is_named() {
    let ignored = "connection_limit=1&pool_timeout=0&prepareThreshold=0&statement_cache_size=0&sslcert=c&gssencmode=disable&\
                   application_name=x&lock_timeout=5&client_encoding=latin1&service=s&TimeZone=UTC";
    let url = with(ignored);
    assert_eq!(
        warned(&url),
        ignored.split('&').filter_map(|pair| Some(pair.split_once('=')?.0)).collect::<Vec<_>>()
    );
    assert!(url.warnings().iter().all(|warning| matches!(warning, Warning::Ignored { .. })));

    let unknown = with("conection_limit=1&foo=bar");
    let key = |key: &str| Warning::Unknown { key: key.to_owned() };
    assert_eq!(unknown.warnings(), [key("conection_limit"), key("foo")]);
}

#[test]
fn only_the_public_schema_passes_without_a_word() {
    for silent in [
        "schema=public",
        "currentSchema=public",
        "search_path=%22$user%22,public",
        "options=-csearch_path%3Dpublic",
    ] {
        assert_eq!(warned(&with(silent)), [""; 0], "{silent}");
    }
    for (query, key) in [
        ("schema=app", "schema"),
        ("currentSchema=app,public", "currentSchema"),
        ("search_path=app", "search_path"),
        ("options=-c%20search_path=app", "search_path"),
    ] {
        let url = with(query);
        assert_eq!(warned(&url), [key], "{query}");
        assert_eq!(url.options(), None, "{query}");
    }
}

#[test]
fn options_reach_a_server_but_only_routing_reaches_a_pooler() {
    let query =
        "options=endpoint%3Dep-cool-1%20-c%20work_mem%3D8MB%20--geqo%3Doff%20-cDateStyle=ISO\\%20,\\%20DMY";
    let direct = with(query);
    assert_eq!(
        direct.options(),
        Some(r"endpoint=ep-cool-1 -c work_mem=8MB -c geqo=off -c DateStyle=ISO\ ,\ DMY")
    );
    assert_eq!(warned(&direct), [""; 0]);

    let pooled = with(&format!("{query}&pgbouncer=true"));
    assert_eq!(pooled.options(), Some("endpoint=ep-cool-1"));
    assert_eq!(warned(&pooled), ["options"]);
}

#[test]
fn configuration_for_the_driver_holds_everything() {
    use tokio_postgres::config::{ChannelBinding, Host as DriverHost, SslMode as WireMode};
    let url = parse(
        "postgres://u:p@h1:1,h2/d?hostaddr=10.0.0.1,10.0.0.2&sslmode=verify-full&sslnegotiation=direct&channel_binding=require\
         &connect_timeout=4&target_session_attrs=primary&load_balance_hosts=random&options=endpoint%3De",
    );
    let config = url.to_config();
    assert_eq!(config.get_hosts(), [DriverHost::Tcp("h1".into()), DriverHost::Tcp("h2".into())]);
    assert_eq!(config.get_hostaddrs().len(), 2);
    assert_eq!(config.get_ports(), [1, 5432]);
    assert_eq!(
        (config.get_user(), config.get_password(), config.get_dbname()),
        (Some("u"), Some(&b"p"[..]), Some("d"))
    );
    assert_eq!(config.get_ssl_mode(), WireMode::Require);
    assert_eq!(config.get_ssl_negotiation(), SslNegotiation::Direct);
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(4)));
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(config.get_load_balance_hosts(), LoadBalanceHosts::Random);
    assert_eq!(config.get_options(), Some("endpoint=e"));
    assert_eq!(config.get_application_name(), None);
    assert_eq!(config.get_keepalives_idle(), Duration::from_secs(30));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(10)));
    assert_eq!(config.get_keepalives_retries(), Some(5));

    let config =
        with("keepalives_idle=60&keepalives_interval=5&keepalives_count=2&tcp_user_timeout=1500").to_config();
    assert_eq!(config.get_keepalives_idle(), Duration::from_mins(1));
    assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(5)));
    assert_eq!(config.get_keepalives_retries(), Some(2));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_millis(1500)));
    assert!(!with("keepalives=0").to_config().get_keepalives());
}

#[test]
fn rds_secrets_are_read() {
    use DatabaseUrlError as E;
    let read = |json: &str| DatabaseUrl::from_rds_secret(&serde_json::from_str::<RdsSecret>(json).unwrap());
    let secret = r#"{"engine":"postgres","host":"a.b.eu-west-1.rds.amazonaws.com","port":5433,"username":"u","password":"p@:/?#%41","dbname":"d","dbInstanceIdentifier":"x"}"#;
    let url = read(secret).unwrap();
    assert_eq!(address(&url), "u:p@:/?#%41@a.b.eu-west-1.rds.amazonaws.com:5433/d");
    assert_eq!(url.ssl_mode(), SslMode::Require);

    let aurora = r#"{"engine":"aurora-postgresql","host":"h","port":"5433","username":"u","password":"p"}"#;
    assert_eq!(address(&read(aurora).unwrap()), "u:p@h:5433/-");
    assert_eq!(read(aurora).unwrap().ssl_mode(), SslMode::Prefer);

    let table = [
        (r#"{"engine":"mysql","host":"h","username":"u","password":"p"}"#, E::WrongEngine),
        (r#"{"username":"u","password":"p"}"#, E::SecretField { field: "host" }),
        (r#"{"host":"h","password":"p"}"#, E::SecretField { field: "username" }),
        (r#"{"host":"h","username":"u","password":""}"#, E::SecretField { field: "password" }),
    ];
    for (json, expected) in table {
        assert_eq!(read(json).unwrap_err(), expected, "{json}");
    }
}
