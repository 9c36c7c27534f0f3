use proptest::prelude::*;

use super::*;

#[test]
fn address_is_read_from_every_dialect() {
    let table = [
        // libpq's URLs
        ("postgres://u:p@h:1/d", "u:p@h:1/d"),
        ("postgresql://u:p@h/d", "u:p@h:5432/d"),
        ("postgresql://u@h", "u:-@h:5432/-"),
        ("postgresql://u:p@h/", "u:p@h:5432/-"),
        ("postgresql://u:p@h:/d/", "u:p@h:5432/d"),
        ("postgresql://h/d?user=u&password=p@ss", "u:p@ss@h:5432/d"),
        ("postgresql://u:p@[2001:db8::1]:6000/d", "u:p@2001:db8::1:6000/d"),
        ("postgresql://u:p@h1:1,h2,[::1]:3/d", "u:p@h1:1,h2:5432,::1:3/d"),
        ("postgresql://u@%2Fvar%2Frun%2Fpostgresql:5433/d", "u:-@/var/run/postgresql:5433/d"),
        ("postgresql:///d?host=/var/run/postgresql&user=u", "u:-@/var/run/postgresql:5432/d"),
        ("postgresql://u:p@/d?host=h1,h2&port=1,2", "u:p@h1:1,h2:2/d"),
        ("POSTGRES://u:p@h/d", "u:p@h:5432/d"),
        ("postgresql://", "-:-@localhost:5432/-"),
        ("postgresql://?hostaddr=10.0.0.1&user=u", "u:-@10.0.0.1:5432/-"),
        // Other libraries' URLs
        ("postgresql+psycopg2://u:p@h/d", "u:p@h:5432/d"),
        ("postgresql+asyncpg://u:p@h/d", "u:p@h:5432/d"),
        ("postgis://u:p@h/d", "u:p@h:5432/d"),
        ("jdbc:postgresql://h:1/d?user=u&password=p%26q", "u:p&q@h:1/d"),
        ("jdbc:postgresql://h1:1,h2:2/d?user=u&password=a+b", "u:a b@h1:1,h2:2/d"),
        ("jdbc:postgresql:d?user=u", "u:-@localhost:5432/d"),
        ("jdbc:postgresql:/?user=u", "u:-@localhost:5432/-"),
        // key=value
        ("host=h port=1 user=u password=p dbname=d", "u:p@h:1/d"),
        ("user=u\npassword=p\nhost=h", "u:p@h:5432/-"),
        (r"host = h user=u password = 'it\'s \\ here' dbname=d", r"u:it's \ here@h:5432/d"),
        (r"host=h password=p\ q user=u", "u:p q@h:5432/-"),
        ("host=/run/postgresql dbname=d", "-:-@/run/postgresql:5432/d"),
        ("host=a,b port=1 user=u", "u:-@a:1,b:1/-"),
        ("Host=h;Port=1;Username=u;Password=\"p=q\";Database=d;", "u:p=q@h:1/d"),
        ("User Id=u;Password=p;Server=h;Port=6543;Database=d", "u:p@h:6543/d"),
    ];
    for (text, expected) in table {
        assert_eq!(address(&parse(text)), expected, "{text}");
    }
}

#[test]
fn what_was_copied_along_is_taken_off() {
    let url = "postgresql://u:p@h/d?sslmode=require";
    let wrapped = [
        format!("  {url}\n"),
        format!("'{url}'"),
        format!("\"{url}\""),
        format!("DATABASE_URL={url}"),
        format!("DATABASE_URL=\"{url}\""),
        format!("export POSTGRES_URL_NON_POOLING='{url}'\n"),
        format!("psql '{url}'"),
        format!("psql \"{url}\""),
        format!("psql {url}"),
        "psql 'host=h \\\n      user=u \\\n      password=p dbname=d sslmode=require'".to_owned(),
    ];
    for text in wrapped {
        let parsed = parse(&text);
        assert_eq!(address(&parsed), "u:p@h:5432/d", "{text}");
        assert_eq!(parsed.ssl_mode(), SslMode::Require, "{text}");
    }
}

#[test]
fn passwords_are_read_encoded_or_as_they_are() {
    let table = [
        ("p%40%2F%3F%23%25%3A", "p@/?#%:"),
        ("p@ss", "p@ss"),
        ("p@s@s", "p@s@s"),
        ("p/w", "p/w"),
        ("p/w@x", "p/w@x"),
        ("p?w", "p?w"),
        ("p?a=b", "p?a=b"),
        ("1234?a=b", "1234?a=b"),
        ("1234/x", "1234/x"),
        ("p#w", "p#w"),
        ("p:w", "p:w"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("50%off", "50%off"),
        ("p%C3%A9", "pé"),
        ("[x]", "[x]"),
    ];
    for (password, expected) in table {
        for rest in ["h:5432/d", "h,h2/d?sslmode=require", "h"] {
            let text = format!("postgres://u:{password}@{rest}");
            assert_eq!(parse(&text).password(), Some(expected), "{text}");
        }
    }
}

#[test]
fn unusable_text_is_refused_with_a_reason() {
    use DatabaseUrlError as E;
    let table = [
        ("", E::Empty),
        ("  \n", E::Empty),
        ("''", E::Empty),
        ("hello", E::NotAConnectionString),
        ("u:p@h/d", E::NotAConnectionString),
        ("mysql://u:p@h/d", E::UnknownScheme),
        ("jdbc:mysql://h/d", E::UnknownScheme),
        ("https://h/d", E::UnknownScheme),
        ("prisma://accelerate.example/?api_key=k", E::PrismaProxy),
        ("prisma+postgres://accelerate.example/?api_key=k", E::PrismaProxy),
        ("psql -h h -p 5432 -U u d", E::PsqlFlags),
        ("PGPASSWORD=p psql -h h -U u d", E::PsqlFlags),
        ("postgres://u:p@h:port/d", E::MalformedUrl),
        ("postgres://u:p@[::1/d", E::MalformedUrl),
        ("postgres://u:p@h o/d", E::MalformedUrl),
        ("postgres://u:p%FF@h/d", E::NotUtf8),
        ("postgres://u:p%00@h/d", E::ZeroByte),
        ("postgres://postgres:[YOUR-PASSWORD]@h/d", E::PlaceholderPassword),
        ("postgres://postgres:****************@h/d", E::PlaceholderPassword),
        ("host=h password='open", E::MalformedKeywords),
        ("host=h password", E::MalformedKeywords),
        ("host=h password='it''s'", E::MalformedKeywords),
        ("postgres://u@h1,h2,h3/d?port=1,2", E::CountMismatch { key: "port" }),
        ("postgres://u@h1,h2/d?hostaddr=10.0.0.1", E::CountMismatch { key: "hostaddr" }),
    ];
    for (text, expected) in table {
        assert_eq!(error(text), expected, "{text}");
    }
    assert!(matches!(error("postgres://u@h:70000/d"), E::BadValue { key: "port", .. }));
    assert!(matches!(error("postgres://u@h:0/d"), E::BadValue { key: "port", .. }));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,60}") {
        let _ = DatabaseUrl::parse(&text);
    }

    #[test]
    fn any_text_behind_a_scheme_is_answered(text in "(postgres://|jdbc:postgresql:|host=|psql )[-a-z0-9:@/?#&=%'\\[\\], \\\\]{0,60}") {
        let _ = DatabaseUrl::parse(&text);
    }

    #[test]
    fn an_encoded_password_is_read_back(password in "[^\\x00]{1,30}") {
        prop_assume!(!password.chars().all(|c| c == '*'));
        let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let url = parse(&format!("postgres://u:{encoded}@h:1/d?sslmode=require"));
        prop_assert_eq!(url.password(), Some(password.as_str()));
        prop_assert_eq!(address(&url), format!("u:{password}@h:1/d"));
    }

    #[test]
    fn a_quoted_password_is_read_back(password in "[^\\x00]{1,30}") {
        prop_assume!(!password.chars().all(|c| c == '*'));
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        let url = parse(&format!("host=h password='{quoted}' user=u"));
        prop_assert_eq!(url.password(), Some(password.as_str()));
    }

    #[test]
    fn a_password_without_encoding_is_read_back(password in "[a-zA-Z0-9!$^*()_+=;.<>~-]{1,12}[@/?#]{0,2}[a-zA-Z0-9!$^*()_+;.<>~-]{1,12}") {
        prop_assume!(!password.chars().all(|c| c == '*'));
        let url = parse(&format!("postgres://u:{password}@db.example.com:5432/d"));
        prop_assert_eq!(url.password(), Some(password.as_str()));
    }
}
