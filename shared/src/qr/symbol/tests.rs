//! What holds for every symbol that is drawn, whatever the URL and the options.

use proptest::prelude::*;

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn symbol(base: &str, id: &str, query: &[(&str, &str)]) -> Symbol {
    Symbol::new(&url(base), id, &options(query)).unwrap()
}

fn options(query: &[(&str, &str)]) -> ImageOptions {
    ImageOptions::from_query(query.iter().copied()).unwrap()
}

fn svg_of(symbol: &Symbol) -> String {
    String::from_utf8(symbol.draw(Format::Svg)).unwrap()
}

/// Width, height and the pixels of a PNG as RGB.
fn decode(image: &[u8]) -> (u32, u32, Vec<[u8; 3]>) {
    let mut decoder = ::png::Decoder::new(std::io::Cursor::new(image));
    decoder.set_transformations(::png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let pixels = match info.color_type {
        ::png::ColorType::Grayscale => bytes.iter().map(|&grey| [grey; 3]).collect(),
        ::png::ColorType::Rgb => bytes.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect(),
        other => panic!("{other:?}"),
    };
    (info.width, info.height, pixels)
}

#[test]
fn the_symbol_holds_upper_case_where_that_means_the_same() {
    let table = [
        ("https://q.example", "K7M2Q9X", "https://q.example/r/K7M2Q9X", "HTTPS://Q.EXAMPLE/R/K7M2Q9X"),
        ("https://q.example/", "my-Menu_1", "https://q.example/r/my-Menu_1", "HTTPS://Q.EXAMPLE/R/MY-MENU_1"),
        ("http://127.0.0.1:9000", "abc", "http://127.0.0.1:9000/r/abc", "HTTP://127.0.0.1:9000/R/ABC"),
        ("http://localhost:9000/", "abc", "http://localhost:9000/r/abc", "HTTP://LOCALHOST:9000/R/ABC"),
        ("https://q.example/go/", "abc", "https://q.example/go/r/abc", "HTTPS://Q.EXAMPLE/go/R/ABC"),
        ("https://q.example/a%2fb", "abc", "https://q.example/a%2fb/r/abc", "HTTPS://Q.EXAMPLE/a%2fb/R/ABC"),
        ("https://[2001:db8::1]/", "abc", "https://[2001:db8::1]/r/abc", "HTTPS://[2001:DB8::1]/R/ABC"),
        (
            "https://müller.example",
            "abc",
            "https://xn--mller-kva.example/r/abc",
            "HTTPS://XN--MLLER-KVA.EXAMPLE/R/ABC",
        ),
    ];
    for (base, id, short, symbol) in table {
        assert_eq!(short_url(&url(base), id), short);
        assert_eq!(symbol_url(&url(base), id), symbol);
    }
}

#[test]
fn an_svg_is_small_and_says_what_it_is() {
    let image = svg_of(&symbol("https://q.example", "K7M2Q9XP", &[]));
    // npm qrcode and segno: 1,227 and 1,261 bytes, without a title.
    assert!(image.len() <= 1_120, "{} bytes", image.len());
    let document = roxmltree::Document::parse(&image).unwrap();
    let root = document.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    assert_eq!(root.attribute("shape-rendering"), Some("crispEdges"));
    assert_eq!((root.attribute("width"), root.attribute("height")), (Some("256"), Some("256")));
    let title = root.first_element_child().unwrap();
    assert_eq!(
        (title.tag_name().name(), title.text()),
        ("title", Some("QR code: https://q.example/r/K7M2Q9XP"))
    );
    let tags: Vec<_> = root.children().map(|child| child.tag_name().name()).collect();
    assert_eq!(tags, ["title", "rect", "path"]);
}

#[test]
fn a_png_is_small() {
    // 8 pixels a module; segno: 288 bytes.
    let image = symbol("https://q.example", "K7M2Q9XP", &[("size", "264")]).draw(Format::Png);
    assert!(image.len() <= 288, "{} bytes", image.len());
    // npm qrcode: 1,549 bytes.
    let image = symbol("https://q.example", "K7M2Q9XP", &[]).draw(Format::Png);
    assert!(image.len() <= 420, "{} bytes", image.len());
}

#[test]
fn a_size_too_small_to_scan_is_refused_with_the_one_that_works() {
    let base = url(&format!("https://{}.example", "host".repeat(13)));
    let id = "a_".repeat(32);
    let at = |size: &str| Symbol::new(&base, &id, &options(&[("level", "H"), ("size", size)]));
    let error = at("64").unwrap_err();
    assert_eq!(
        (error.field.as_str(), error.message.as_str()),
        ("size", "must be at least 118 pixels for this symbol to scan")
    );
    assert!(at("117").is_err());
    assert!(at("118").is_ok());
    assert!(at("256").is_ok());
}

#[test]
fn a_url_too_long_for_the_level_is_refused() {
    let base = url(&format!("https://q.example/{}", "p".repeat(1_300)));
    let error = Symbol::new(&base, "abc", &options(&[("level", "H"), ("size", "4096")])).unwrap_err();
    assert_eq!(error.field, "level");
}

/// Images are cached for a year under an [`etag`] that is made without drawing them.
#[test]
fn the_same_request_gives_other_bytes_only_with_another_rendering_number() {
    let hash = |size, format| {
        let image =
            symbol("https://q.example", "K7M2Q9XP", &[("size", size), ("color", "000080")]).draw(format);
        hex::encode(&Sha256::digest(image)[..4])
    };
    let hashes = [("256", Format::Svg), ("64", Format::Svg), ("256", Format::Png), ("1025", Format::Png)]
        .map(|(size, format)| hash(size, format));
    assert_eq!(
        (RENDERING, hashes.each_ref().map(String::as_str)),
        (1, ["5ab2cf62", "67815921", "fbf74601", "4945fb5f"]),
        "raise RENDERING"
    );
}

#[test]
fn an_etag_tells_apart_whatever_changes_the_bytes() {
    let base = url("https://q.example");
    let mut tags = vec![
        etag(Format::Svg, &base, "ABC", &options(&[])),
        etag(Format::Png, &base, "ABC", &options(&[])),
        etag(Format::Svg, &base, "ABD", &options(&[])),
        etag(Format::Svg, &url("https://r.example"), "ABC", &options(&[])),
        etag(Format::Svg, &base, "ABC", &options(&[("size", "512")])),
        etag(Format::Svg, &base, "ABC", &options(&[("margin", "1")])),
        etag(Format::Svg, &base, "ABC", &options(&[("level", "H")])),
        etag(Format::Svg, &base, "ABC", &options(&[("color", "000001")])),
        etag(Format::Svg, &base, "ABC", &options(&[("background", "FFFFFE")])),
    ];
    for tag in &tags {
        assert_eq!(tag.len(), 34);
        assert!(tag.starts_with('"') && tag.ends_with('"'));
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 9);
    assert_eq!(
        etag(Format::Svg, &base, "ABC", &options(&[])),
        etag(Format::Svg, &url("https://q.example/"), "ABC", &options(&[("size", "256"), ("level", "m")]))
    );
}

prop_compose! {
    fn any_options()(
        size in 64_u16..=600,
        margin in 0_u8..=16,
        level in "[LMQH]",
        dark in "[0-7][0-9A-F]0000",
        light in "[C-F][0-9A-F][E-F][0-9A-F]{3}",
    ) -> ImageOptions {
        let (size, margin) = (size.to_string(), margin.to_string());
        options(&[
            ("size", &size),
            ("margin", &margin),
            ("level", &level),
            ("color", &dark),
            ("background", &light),
        ])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_drawn_is_well_formed_and_true_to_the_modules(
        base in "https?://[a-z][a-z0-9-]{0,57}[a-z](:8[0-9]{3})?/?([A-Za-z&'<>%. ]{1,9}/)?",
        id in "[A-Za-z0-9_-]{3,64}",
        options in any_options(),
    ) {
        let Ok(base) = Url::parse(&base) else { return Ok(()) };
        let symbol = match Symbol::new(&base, &id, &options) {
            Ok(symbol) => symbol,
            Err(error) => {
                prop_assert_eq!(error.field, "size");
                return Ok(());
            }
        };
        let modules = symbol.rows.len();

        let image = svg_of(&symbol);
        let document = roxmltree::Document::parse(&image).unwrap();
        let title = document.root_element().first_element_child().unwrap().text().unwrap();
        let expected = format!("QR code: {}", short_url(&base, &id));
        prop_assert_eq!(title, expected);
        let path = document.descendants().find(|node| node.has_tag_name("path")).unwrap();
        prop_assert_eq!(&svg::tests::covered(path.attribute("d").unwrap(), modules), &symbol.rows);

        let (width, height, pixels) = decode(&symbol.draw(Format::Png));
        let size = usize::from(options.size());
        prop_assert_eq!((width as usize, height as usize), (size, size));
        let mut module_at = vec![None; size];
        for module in 0..modules {
            module_at[symbol.layout.edge(module)..symbol.layout.edge(module + 1)].fill(Some(module));
        }
        let expected: Vec<_> = (0..size)
            .flat_map(|y| (0..size).map(move |x| (x, y)))
            .map(|(x, y)| module_at[y].zip(module_at[x]).is_some_and(|(y, x)| symbol.rows[y][x]))
            .map(|dark| if dark { options.color().0 } else { options.background().0 })
            .collect();
        prop_assert!(pixels == expected, "a pixel has the wrong colour");
    }
}
