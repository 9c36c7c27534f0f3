use super::*;

const MARK: &str = "s3cr3tMARK";

#[test]
fn debug_shows_no_user_password_database_or_option() {
    let url =
        parse(&format!("postgres://{MARK}:{MARK}@h/{MARK}?options=endpoint%3D{MARK}&sslrootcert=/{MARK}"));
    let shown = format!("{url:?}");
    assert!(!shown.contains(MARK), "{shown}");
    assert!(shown.contains("\"h\""), "{shown}");
}

#[test]
fn neither_errors_nor_warnings_show_a_value() {
    let texts = [
        MARK.to_owned(),
        format!("{MARK}://u:p@h/d"),
        format!("postgres://u:{MARK}@h:x/d"),
        format!("postgres://u:{MARK}@h o/d"),
        format!("postgres://u:{MARK}%FF@h/d"),
        format!("postgres://u:1?{MARK}=@h/d"),
        format!("postgres://u:1?{MARK}&x@h/d"),
        format!("postgres://u:p@h/d?sslmode={MARK}"),
        format!(
            "postgres://u:p@h/d?connect_timeout={MARK}&foo={MARK}&schema={MARK}&options=-c%20search_path={MARK}"
        ),
        format!("postgres://u:p@h/d?options=-c%20a={MARK}&pgbouncer=true"),
        format!("postgres://u:p@h/d?x%20%3D%20{MARK}=1"),
        format!("host=h password='{MARK}"),
        format!("host=h password=a {MARK}"),
        format!("Host=h;Password=a;{MARK}"),
    ];
    for text in texts {
        let shown = match DatabaseUrl::parse(&text) {
            Ok(url) => {
                let warnings: Vec<String> = url.warnings().iter().map(ToString::to_string).collect();
                format!("{warnings:?} {:?}", url.warnings())
            }
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains(MARK), "{text}: {shown}");
        assert!(!shown.contains('\n'), "{text}: {shown}");
    }
}
