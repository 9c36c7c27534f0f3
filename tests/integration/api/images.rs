//! Images as callers get them. How they read back is in `symbol.rs`.

use anyhow::Result;
use harness::Postgres;
use serde_json::json;

use super::functions::{create_code, generate, generate_for_keys, short_id};

#[tokio::test]
async fn images_are_kept_for_ever_and_need_no_key() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let made =
        create_code(&generate(database.url()).start().await?, json!({"targetUrl": "https://e.example"}))
            .await?;
    let codes = generate_for_keys(database.url()).start().await?;
    for (format, media_type, magic) in
        [("svg", "image/svg+xml", &b"<svg "[..]), ("png", "image/png", b"\x89PNG\r\n\x1a\n")]
    {
        let path = format!("/qr/{}/image.{format}?size=333&level=H&color=000080", short_id(&made));
        let image = codes.get(&path).send().await?;
        assert_eq!((image.status, image.header("content-type")), (200, media_type));
        assert_eq!(image.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(image.body.starts_with(magic), "{format}: {:?}", &image.body[..20]);
        let tag = image.header("etag");
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");

        let head = codes.head(&path).send().await?;
        assert_eq!((head.status, head.header("etag"), head.body.len()), (200, tag, 0));
        for held in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let kept = codes.get(&path).header("if-none-match", &held).send().await?;
            assert_eq!((kept.status, kept.header("etag"), kept.body.len()), (304, tag, 0), "{held}");
        }
        let other = codes.get(&path).header("if-none-match", "\"other\"").send().await?;
        assert_eq!((other.status, &other.body), (200, &image.body));
        let larger = codes.get(&path.replace("333", "334")).send().await?;
        assert_ne!(larger.header("etag"), tag);
    }
    Ok(())
}

#[tokio::test]
async fn there_is_no_image_of_what_is_not_there() -> Result<()> {
    let database = Postgres::plain().await?.database().await?;
    let codes = generate(database.url()).start().await?;
    let made =
        create_code(&codes, json!({"targetUrl": "https://e.example", "shortId": "Looks-Like-L"})).await?;
    let typed_by_hand = codes.get("/qr/looks-like-1/image.svg").send().await?;
    let as_made = codes.get(&format!("/qr/{}/image.svg", short_id(&made))).send().await?;
    assert_eq!((typed_by_hand.status, typed_by_hand.body), (200, as_made.body));
    assert_eq!(codes.delete("/qr/Looks-Like-L").send().await?.status, 204);
    for path in
        ["/qr/UNKNOWN/image.svg", "/qr/UNKNOWN/image.png", "/qr/a b/image.svg", "/qr/Looks-Like-L/image.svg"]
    {
        let answer = codes.get(path).send().await?;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, "application/problem+json"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}: it may be made in a moment");
    }
    assert_eq!(codes.get("/qr/UNKNOWN/image.gif").send().await?.status, 404);
    Ok(())
}
