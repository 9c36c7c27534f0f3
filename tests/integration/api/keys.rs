//! Authorisation: what a caller may do with which key, scopes, token or owner.

use anyhow::Result;
use harness::{Database, Lambda, Postgres, Request};
use serde_json::json;

use super::functions::{
    create_code, create_key, expect_status, generate, generate_for_keys, query_count, short_id,
};

struct Setup {
    database: Database,
    codes: Lambda,
}

/// Starts `qr-generate` so that callers need a key.
async fn setup() -> Result<Setup> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate_for_keys(database.url()).start().await?;
    Ok(Setup { database, codes })
}

trait WithKey {
    fn with_key(self, key: &str) -> Self;
}

impl WithKey for Request<'_> {
    fn with_key(self, key: &str) -> Self {
        self.header("authorization", format!("Bearer {key}"))
    }
}

/// A request of each kind that needs a key, and whether it needs `qr:write`.
fn requests<'a>(codes: &'a Lambda, id: &str) -> Vec<(Request<'a>, bool)> {
    let path = format!("/qr/{id}");
    let target = json!({"targetUrl": "https://e.example"});
    vec![
        (codes.get("/qr"), false),
        (codes.get(&path), false),
        (codes.get(&format!("{path}/history")), false),
        (codes.get(&format!("{path}/scans")), false),
        (codes.post("/qr").json(&target), true),
        (codes.patch(&path).json(&target), true),
        (codes.post(&format!("{path}/rollback")).json(&json!({"version": 1})), true),
        (codes.delete(&path), true),
    ]
}

#[tokio::test]
async fn no_key_or_one_that_is_no_good_is_a_401() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    let all = &["qr:read", "qr:write", "admin"];
    let good = create_key(&database, "me", all).await?;
    let made =
        codes.post("/qr").with_key(&good).json(&json!({"targetUrl": "https://e.example"})).send().await?;
    let made = expect_status(201, &made)?;
    let (expired, revoked) =
        (create_key(&database, "me", all).await?, create_key(&database, "me", all).await?);
    let end = |column: &str, key: &str| {
        format!("UPDATE api_keys SET {column} = now() WHERE hash = sha256('{key}')")
    };
    let client = database.client().await?;
    client.execute_typed(&end("expires_at", &expired), &[]).await?;
    client.execute_typed(&end("revoked_at", &revoked), &[]).await?;

    let headers = [
        None,
        Some(("authorization", "Bearer tsk_unknown".to_owned())),
        Some(("x-api-key", "tsk_unknown".to_owned())),
        Some(("authorization", format!("Bearer {expired}"))),
        Some(("x-api-key", revoked)),
        Some(("authorization", format!("Basic {good}"))),
        Some(("authorization", format!("Bearer {}", good.to_uppercase()))),
        Some(("authorization", format!("Bearer {good}x"))),
        Some(("authorization", "Bearer".to_owned())),
        Some(("x-api-key", String::new())),
        Some(("x-api-key", format!("{good},{good}"))),
    ];
    for header in headers {
        for (request, _) in requests(&codes, short_id(&made)) {
            let request = match &header {
                Some((name, value)) => request.header(name, value),
                None => request,
            };
            let answer = request.send().await?;
            assert_eq!(answer.status, 401, "{header:?} {}", answer.text());
            assert!(answer.header("www-authenticate").starts_with("Bearer "));
            let problem = answer.json()?;
            assert_eq!(problem["type"], "urn:tessera:unauthenticated");
            let reason = if header.is_some() { "unknown, expired or revoked" } else { "Send a key" };
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(reason)), "{problem}");
        }
    }
    assert_eq!(
        query_count(&database, "SELECT count(*) FROM codes WHERE version = 1").await?,
        1,
        "nothing has happened"
    );
    Ok(())
}

#[tokio::test]
async fn who_calls_is_asked_before_what_is_wrong_with_the_request() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    let key = create_key(&database, "me", &["qr:read", "qr:write"]).await?;
    let made = codes.post("/qr").with_key(&key).json(&json!({"targetUrl": "https://e.example"}));
    let made = expect_status(201, &made.send().await?)?;
    // One that was never given, and one that can be no token.
    for token in ["A".repeat(32).as_str(), "x"] {
        for (request, writes) in requests(&codes, short_id(&made)) {
            let answer = request.header("consistency-token", token).send().await?;
            assert_eq!(answer.status, 401, "{token} {writes}: {}", answer.text());
        }
    }
    for (request, _) in requests(&codes, short_id(&made)).into_iter().filter(|(_, writes)| !writes) {
        let request = request.with_key("tsk_unknown").header("consistency-token", "A".repeat(32));
        assert_eq!(request.send().await?.status, 401);
    }
    for path in ["/qr?limit=0", &format!("/qr/{}/scans?by=week", short_id(&made))] {
        assert_eq!(codes.get(path).send().await?.status, 401, "{path}");
    }
    let delete = codes.delete(&format!("/qr/{}", short_id(&made))).header("if-match", "x");
    assert_eq!(delete.send().await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_key_is_taken_from_either_header() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    let key = create_key(&database, "me", &["qr:read"]).await?;
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("Authorization", format!("bearer  {key} ")),
        ("x-api-key", key.clone()),
        ("X-Api-Key", format!(" {key} ")),
    ] {
        assert_eq!(codes.get("/qr").header(name, &value).send().await?.status, 200, "{name}: {value}");
    }
    Ok(())
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    for (scopes, reads, writes) in [
        (&["qr:read"][..], true, false),
        (&["qr:write"], false, true),
        (&["qr:read", "qr:write"], true, true),
        (&["ops:read"], false, false),
        (&["admin"], true, true),
        (&[], false, false),
    ] {
        let key = create_key(&database, "me", scopes).await?;
        let admin = create_key(&database, "me", &["admin"]).await?;
        let made = codes.post("/qr").with_key(&admin).json(&json!({"targetUrl": "https://e.example"}));
        let made = expect_status(201, &made.send().await?)?;
        for (request, write) in requests(&codes, short_id(&made)) {
            let answer = request.with_key(&key).send().await?;
            let may = if write { writes } else { reads };
            assert_eq!(answer.status == 403, !may, "{scopes:?}: {} {}", answer.status, answer.text());
            assert_eq!(answer.status < 300, may, "{scopes:?}: {} {}", answer.status, answer.text());
            let scope = if write { "qr:write" } else { "qr:read" };
            assert!(may || answer.text().contains(scope), "it names {scope}: {}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test]
async fn another_owner_s_code_is_not_there() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    let all = &["qr:read", "qr:write"];
    let (mine, theirs) = (create_key(&database, "me", all).await?, create_key(&database, "them", all).await?);
    let made =
        codes.post("/qr").with_key(&mine).json(&json!({"targetUrl": "https://e.example"})).send().await?;
    let made = expect_status(201, &made)?;
    for (request, _) in requests(&codes, short_id(&made)).into_iter().skip(1) {
        let answer = request.with_key(&theirs).send().await?;
        let made_their_own = answer.status == 201;
        assert!(made_their_own || answer.status == 404, "{} {}", answer.status, answer.text());
        let unknown = codes.get("/qr/UNKNOWN").with_key(&theirs).send().await?;
        let (mut there, mut nowhere) = (answer.json()?, unknown.json()?);
        there["requestId"].take();
        nowhere["requestId"].take();
        assert!(made_their_own || there == nowhere, "it does not tell that it exists: {there}");
    }
    let list = expect_status(200, &codes.get("/qr").with_key(&theirs).send().await?)?;
    let owners: Vec<_> = list["items"].as_array().into_iter().flatten().map(|code| &code["userId"]).collect();
    assert_eq!(owners, ["them"]);
    Ok(())
}

#[tokio::test]
async fn only_an_admin_may_name_another_owner() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    let mine = create_key(&database, "me", &["qr:read", "qr:write"]).await?;
    let admin = create_key(&database, "root", &["admin"]).await?;
    let theirs = json!({"targetUrl": "https://e.example", "userId": "them"});
    let refused = codes.post("/qr").with_key(&mine).json(&theirs).send().await?;
    assert_eq!((refused.status, &refused.json()?["type"]), (403, &json!("urn:tessera:forbidden")));
    assert_eq!(codes.get("/qr?userId=them").with_key(&mine).send().await?.status, 403);
    let own = json!({"targetUrl": "https://e.example", "userId": "me"});
    assert_eq!(
        expect_status(201, &codes.post("/qr").with_key(&mine).json(&own).send().await?)?["userId"],
        "me"
    );
    assert_eq!(codes.get("/qr?userId=me").with_key(&mine).send().await?.status, 200);

    let made = expect_status(201, &codes.post("/qr").with_key(&admin).json(&theirs).send().await?)?;
    assert_eq!(made["userId"], "them");
    for (request, _) in requests(&codes, short_id(&made)) {
        let answer = request.with_key(&admin).send().await?;
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    }
    let list = expect_status(200, &codes.get("/qr?userId=me").with_key(&admin).send().await?)?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_token_that_api_gateway_has_checked_names_the_owner() -> Result<()> {
    let Setup { codes, .. } = &setup().await?;
    let made =
        codes.post("/qr").jwt(json!({"sub": "auth0|7"})).json(&json!({"targetUrl": "https://e.example"}));
    let made = expect_status(201, &made.send().await?)?;
    assert_eq!(made["userId"], "auth0|7");
    let path = format!("/qr/{}", short_id(&made));
    // The token comes in the header that a key could come in.
    let own = codes.get(&path).jwt(json!({"sub": "auth0|7"})).header("authorization", "Bearer eyJhbGciOi");
    assert_eq!(own.send().await?.status, 200);
    assert_eq!(codes.get(&path).jwt(json!({"sub": "auth0|8"})).send().await?.status, 404);
    assert_eq!(codes.get("/qr?userId=auth0%7C7").jwt(json!({"sub": "auth0|8"})).send().await?.status, 403);
    assert_eq!(codes.get("/qr").jwt(json!({"scope": "no subject"})).send().await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_token_whose_subject_can_own_nothing_is_nobody_s() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let open = generate(database.url()).start().await?;
    for subject in ["", " ", "a\0b", "\0", "a\nb", &"s".repeat(256)] {
        for token in [None, Some("Bearer eyJhbGciOi")] {
            let body = json!({"targetUrl": "https://e.example"});
            let request = open.post("/qr").jwt(json!({"sub": subject})).json(&body);
            let request = match token {
                Some(token) => request.header("authorization", token),
                None => request,
            };
            let answer = request.send().await?;
            assert_eq!(answer.status, 401, "{subject:?}: {}", answer.text());
        }
    }
    let longest = "s".repeat(255);
    let made = open.post("/qr").jwt(json!({"sub": longest})).json(&json!({"targetUrl": "https://e.example"}));
    assert_eq!(expect_status(201, &made.send().await?)?["userId"], longest);
    assert_eq!(query_count(&database, "SELECT count(*) FROM codes").await?, 1);
    Ok(())
}

#[tokio::test]
async fn callers_without_a_key_are_let_in_only_where_that_is_configured() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let open = generate(database.url()).start().await?;
    let made = create_code(&open, json!({"targetUrl": "https://e.example"})).await?;
    assert_eq!(made["userId"], "anonymous");
    let wrong = open.get("/qr").header("x-api-key", "tsk_wrong").send().await?;
    assert_eq!(wrong.status, 401, "a wrong key is not nobody's");
    let other = open.post("/qr").json(&json!({"targetUrl": "https://e.example", "userId": "them"}));
    assert_eq!(other.send().await?.status, 403);

    for empty in ["", " "] {
        let shut = generate_for_keys(database.url()).env("ANONYMOUS_OWNER", empty).start().await?;
        assert_eq!(shut.get("/qr").send().await?.status, 401);
        let image = shut.get(&format!("/qr/{}/image.svg", short_id(&made))).send().await?;
        assert_eq!(image.status, 200, "images need no key");
    }
    Ok(())
}

#[tokio::test]
async fn keys_are_neither_stored_nor_logged() -> Result<()> {
    let Setup { database, codes } = setup().await?;
    let key = create_key(&database, "me", &["qr:read"]).await?;
    let secret = &key[12..];
    assert_eq!(codes.get("/qr").with_key(&key).send().await?.status, 200);
    assert_eq!(codes.get("/qr").with_key(&format!("{key}x")).send().await?.status, 401);
    let stored = format!("SELECT count(*) FROM api_keys WHERE api_keys::text LIKE '%{secret}%'");
    assert_eq!(query_count(&database, &stored).await?, 0);
    let logs = [codes.logs(), database.log()?.into_iter().map(|entry| entry.text).collect()].concat();
    assert!(!logs.join("\n").contains(secret), "{logs:?}");
    Ok(())
}
