//! Codes are created, listed, edited and followed, and whatever was done is seen by the very next request.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::{try_join, try_join_all};
use harness::{Database, Lambda, PgBouncer, Postgres};
use serde_json::{Value, json};

use super::functions::{create_code, expect_status, generate, get_code, query_count, redirect, short_id};

#[tokio::test]
async fn a_code_is_seen_and_followed_as_soon_as_it_is_made() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com/a"})).await?;
    assert_eq!(made["shortUrl"], format!("https://q.example/r/{}", short_id(&made)));

    // A container that has never seen the database.
    let redirects = redirect(database.url()).start().await?;
    let followed = redirects.get(&format!("/r/{}", short_id(&made))).send().await?;
    assert_eq!((followed.status, followed.header("location")), (302, "https://example.com/a"));

    let list = expect_status(200, &codes.get("/qr").send().await?)?;
    assert_eq!(list["items"][0]["shortId"], made["shortId"]);
    assert_eq!(list["items"][0]["scans"]["total"], 1);
    Ok(())
}

#[tokio::test]
async fn a_thousand_codes_of_a_thousand_are_visible_at_once() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    create_list_and_scan(&database, &database.url(), 1000).await
}

#[tokio::test]
async fn through_a_transaction_pooler_too() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    // Fewer server connections than containers: each statement may meet another one.
    let pgbouncer =
        PgBouncer::in_front_of(database.postgres()).setting("default_pool_size", 6).start().await?;
    create_list_and_scan(&database, &pgbouncer.url(&database), 1000).await?;
    let complaints: Vec<_> =
        pgbouncer.log().into_iter().filter(|line| line.contains("prepared statement")).collect();
    assert_eq!(complaints, [""; 0]);
    Ok(())
}

/// 16 at a time, each for an owner of its own; each code is made, listed and scanned by different containers, each with
/// a connection of its own.
async fn create_list_and_scan(database: &Database, url: &str, codes: usize) -> Result<()> {
    const LANES: usize = 16;
    // 32 unoptimized clients that authenticate at once may take long on a busy machine.
    let patient = Duration::from_secs(28);
    let generating = try_join_all((0..LANES).map(|_| generate(url).timeout(patient).start())).await?;
    let redirecting = try_join_all((0..LANES).map(|_| redirect(url).timeout(patient).start())).await?;
    let lane = |lane: usize| {
        let (maker, lister) = (&generating[lane], &generating[(lane + 1) % LANES]);
        let (scanner, owner) = (&redirecting[lane], json!({"sub": format!("owner {lane}")}));
        async move {
            for number in (lane..codes).step_by(LANES) {
                let target = format!("https://example.com/{number}");
                let made = maker.post("/qr").jwt(owner.clone()).json(&json!({"targetUrl": target}));
                let made =
                    expect_status(201, &made.send().await?).with_context(|| maker.logs().join("\n"))?;
                let newest = async || {
                    let list = lister.get("/qr?limit=2").jwt(owner.clone()).send().await?;
                    let newest = expect_status(200, &list)?["items"][0].clone();
                    ensure!(newest["shortId"] == made["shortId"], "{newest} is not {made}");
                    Ok(newest["scans"]["total"].clone())
                };
                ensure!(newest().await? == 0, "listed as made");
                let followed = scanner.get(&format!("/r/{}", short_id(&made))).send().await?;
                ensure!((followed.status, followed.header("location")) == (302, &*target), "{followed:?}");
                ensure!(newest().await? == 1, "listed as scanned");
            }
            anyhow::Ok(())
        }
    };
    try_join_all((0..LANES).map(lane)).await?;
    for table in ["codes", "scans"] {
        let rows = query_count(database, &format!("SELECT count(*) FROM {table}")).await?;
        assert_eq!(usize::try_from(rows)?, codes, "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn a_list_is_read_whole_whatever_the_size_of_its_pages() -> Result<()> {
    const CODES: usize = 23;
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let mut newest_first = Vec::new();
    for number in 0..CODES {
        let tags = if number % 3 == 0 { json!(["third"]) } else { json!([]) };
        let code = create_code(&codes, json!({"targetUrl": "https://example.com", "tags": tags})).await?;
        newest_first.insert(0, (short_id(&code).to_owned(), number % 3 == 0));
    }
    let ids = |wanted: fn(bool) -> bool| {
        newest_first.iter().filter(|(_, third)| wanted(*third)).map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    for limit in (1..=CODES + 1).chain([200]) {
        assert_eq!(pages(&codes, &format!("limit={limit}")).await?, ids(|_| true), "limit {limit}");
        let tagged = pages(&codes, &format!("limit={limit}&tag=third")).await?;
        assert_eq!(tagged, ids(|third| third), "limit {limit}, tagged");
    }
    Ok(())
}

/// All ids of a list, from the first page to the last.
pub(crate) async fn pages(codes: &Lambda, query: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = expect_status(200, &codes.get(&format!("/qr?{query}{cursor}")).send().await?)?;
        let items = page["items"].as_array().context("items")?;
        ids.extend(items.iter().map(|code| short_id(code).to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(ids),
        }
    }
}

#[tokio::test]
async fn a_page_stays_what_it_was_when_codes_come_and_go() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(create_code(&codes, json!({"targetUrl": "https://example.com"})).await?);
    }
    let first = expect_status(200, &codes.get("/qr?limit=2").send().await?)?;
    create_code(&codes, json!({"targetUrl": "https://example.com/newer"})).await?;
    assert_eq!(codes.delete(&format!("/qr/{}", short_id(&made[2]))).send().await?.status, 204);
    let cursor = first["nextCursor"].as_str().context("a next page")?;
    let second = expect_status(200, &codes.get(&format!("/qr?limit=2&cursor={cursor}")).send().await?)?;
    let ids: Vec<_> = second["items"].as_array().into_iter().flatten().map(short_id).collect();
    assert_eq!(ids, [short_id(&made[1]), short_id(&made[0])]);
    assert_eq!(second["nextCursor"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_list_is_searched_by_id_name_and_target() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    create_code(&codes, json!({"targetUrl": "https://example.com/Sommer", "shortId": "plain"})).await?;
    create_code(&codes, json!({"targetUrl": "https://example.com", "shortId": "Poster-7"})).await?;
    create_code(
        &codes,
        json!({"targetUrl": "https://example.com", "shortId": "third", "name": "50 % of Äpfel_"}),
    )
    .await?;
    for (search, found) in [
        ("sommer", vec!["plain"]),
        ("POSTER", vec!["Poster-7"]),
        ("PFEL", vec!["third"]),
        ("Äpfel", vec!["third"]),
        ("50 %", vec!["third"]),
        ("%", vec!["third"]),
        ("l_", vec!["third"]),
        ("example.com", vec!["third", "Poster-7", "plain"]),
        ("nothing", vec![]),
    ] {
        let query = codes.get("/qr").query("search", search);
        let list = expect_status(200, &query.send().await?)?;
        let ids: Vec<_> = list["items"].as_array().into_iter().flatten().map(short_id).collect();
        assert_eq!(ids, found, "{search}");
    }
    Ok(())
}

#[tokio::test]
async fn ids_that_look_alike_are_one_id_for_ever() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let create =
        |id: &str| codes.post("/qr").json(&json!({"targetUrl": "https://e.example", "shortId": id})).send();
    assert_eq!(create("Hello").await?.status, 201);
    for same in ["Hello", "HELLO", "he110", "HEiLo"] {
        let refused = create(same).await?;
        assert_eq!((refused.status, &refused.json()?["type"]), (409, &json!("urn:tessera:taken")), "{same}");
        assert_eq!(get_code(&codes, same).await?["shortId"], "Hello");
    }
    assert_eq!(codes.delete("/qr/he11o").send().await?.status, 204);
    assert_eq!(codes.get("/qr/Hello").send().await?.status, 404);
    assert_eq!(create("Hello").await?.status, 409, "a deleted id is not given out again");
    Ok(())
}

#[tokio::test]
async fn only_one_of_many_gets_an_id() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let containers = try_join_all((0..8).map(|_| generate(database.url()).start())).await?;
    for round in 0..10 {
        let ids = ["once-%-l", "ONCE-%-1"].map(|id| id.replace('%', &round.to_string()));
        let creates = containers.iter().enumerate().map(|(number, container)| {
            let fields = json!({"targetUrl": "https://e.example", "shortId": ids[number % 2]});
            container.post("/qr").json(&fields).send()
        });
        let answers = try_join_all(creates).await?;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }
    Ok(())
}

#[tokio::test]
async fn an_edit_is_seen_at_once_and_a_stale_one_is_refused() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (codes, redirects) =
        try_join(generate(database.url()).start(), redirect(database.url()).start()).await?;
    let made = codes.post("/qr").json(&json!({"targetUrl": "https://example.com/1"})).send().await?;
    let tag = made.header("etag").to_owned();
    let made = expect_status(201, &made)?;
    let path = format!("/qr/{}", short_id(&made));

    let edit = |target: &str, tag: &str| {
        codes.patch(&path).header("if-match", tag).json(&json!({"targetUrl": target}))
    };
    let edited = edit("https://example.com/2", &tag).send().await?;
    assert_eq!((edited.status, edited.header("etag")), (200, "\"2\""));
    let followed = redirects.get(&format!("/r/{}", short_id(&made))).send().await?;
    assert_eq!(followed.header("location"), "https://example.com/2");

    let stale = edit("https://example.com/3", &tag).send().await?;
    assert_eq!((stale.status, &stale.json()?["type"]), (412, &json!("urn:tessera:stale")));
    assert_eq!(codes.delete(&path).header("if-match", tag).send().await?.status, 412);
    let now = get_code(&codes, short_id(&made)).await?;
    assert_eq!((&now["targetUrl"], &now["version"]), (&json!("https://example.com/2"), &json!(2)));
    assert_eq!(edit("https://example.com/3", "*").send().await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn of_several_versions_one_must_be_the_current_one() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com"})).await?;
    let path = format!("/qr/{}", short_id(&made));
    let edit = |tags: &str| codes.patch(&path).header("if-match", tags).json(&json!({"name": "n"}));
    assert_eq!(edit("\"0\", \"1\"").send().await?.status, 200);
    let several = edit("\"9\"").header("if-match", "W/\"1\"").header("if-match", "\"2\"");
    assert_eq!(several.send().await?.status, 200, "a header that is sent more than once is one list");
    for tags in ["\"0\", \"1\", \"2\"", "\"03\"", "\"+3\"", "W/\"3\"", "3", "\"2,3\"", "\"3\"x", "*, \"2\""] {
        assert_eq!(edit(tags).send().await?.status, 412, "{tags}");
    }
    let back = codes.post(&format!("{path}/rollback")).json(&json!({"version": 1}));
    assert_eq!(back.header("if-match", "\"1\",\"3\"").send().await?.status, 200);
    assert_eq!(codes.delete(&path).header("if-match", "\"3\"").send().await?.status, 412);
    assert_eq!(codes.delete(&path).header("if-match", "\"3\", \"4\"").send().await?.status, 204);
    Ok(())
}

#[tokio::test]
async fn a_code_can_point_back_to_where_it_pointed() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let (codes, redirects) =
        try_join(generate(database.url()).start(), redirect(database.url()).start()).await?;
    let made = create_code(&codes, json!({"targetUrl": "https://example.com/1", "name": "kept"})).await?;
    let path = format!("/qr/{}", short_id(&made));
    expect_status(
        200,
        &codes.patch(&path).json(&json!({"targetUrl": "https://example.com/2"})).send().await?,
    )?;
    let back = codes.post(&format!("{path}/rollback")).json(&json!({"version": 1})).send().await?;
    let back = expect_status(200, &back)?;
    assert_eq!(
        (&back["targetUrl"], &back["version"], &back["name"]),
        (&json!("https://example.com/1"), &json!(3), &json!("kept"))
    );
    let followed = redirects.get(&format!("/r/{}", short_id(&made))).send().await?;
    assert_eq!(followed.header("location"), "https://example.com/1");

    let history = expect_status(200, &codes.get(&format!("{path}/history")).send().await?)?;
    let versions: Vec<_> = history["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| json!([item["version"], item["targetUrl"], item["current"]]))
        .collect();
    assert_eq!(
        versions,
        [
            json!([3, "https://example.com/1", true]),
            json!([2, "https://example.com/2", false]),
            json!([1, "https://example.com/1", false])
        ]
    );
    let unknown = codes.post(&format!("{path}/rollback")).json(&json!({"version": 9})).send().await?;
    assert_eq!((unknown.status, &unknown.json()?["errors"][0]["field"]), (422, &json!("version")));
    Ok(())
}

#[tokio::test]
async fn every_field_is_given_back_as_it_was_given() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let fields = json!({
        "targetUrl": "https://bücher.example/straße?q=ü#f",
        "name": "Plakat 'A' \"B\" \\ 😀",
        "shortId": "All-Of_them",
        "tags": ["a,b", "ü", "{x}"],
        "redirectStatus": 307,
        "forwardQuery": true,
        "validSince": "2030-01-31T12:00:00Z",
        "expiresAt": "2031-01-31T12:00:00.25Z",
        "maxScans": 1_000_000_000_000_i64,
    });
    let made = create_code(&codes, fields.clone()).await?;
    let mut same_later = get_code(&codes, short_id(&made)).await?;
    assert_eq!(made, same_later);
    for (name, value) in fields.as_object().into_iter().flatten() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(
        (&made["userId"], &made["enabled"], &made["version"]),
        (&json!("anonymous"), &json!(true), &json!(1))
    );
    assert_eq!(made["scans"], json!({"total": 0, "unique": 0, "bots": 0, "lastAt": null}));
    assert_eq!(made["images"]["png"], "https://q.example/qr/All-Of_them/image.png");

    let clear = json!({"name": null, "tags": [], "validSince": null, "expiresAt": null, "maxScans": null});
    let cleared = codes.patch("/qr/all-of_them").json(&clear).send().await?;
    let cleared = expect_status(200, &cleared)?;
    for (name, value) in clear.as_object().into_iter().flatten() {
        assert_eq!(&cleared[name], value, "{name}");
        same_later[name] = value.clone();
    }
    same_later["version"] = json!(2);
    same_later["updatedAt"] = cleared["updatedAt"].clone();
    assert_eq!(cleared, same_later, "nothing else has changed");
    Ok(())
}
