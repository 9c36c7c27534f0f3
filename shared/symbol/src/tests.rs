//! What holds for every symbol that is drawn, whatever the URL and the options.

use proptest::prelude::*;

use super::*;

const TEXT: &str = "HTTPS://Q.EXAMPLE/R/K7M2Q9XP";
const TITLE: &str = "QR code: https://q.example/r/K7M2Q9XP";

fn symbol(pairs: &[(&str, &str)]) -> Symbol {
    Symbol::new(TEXT, TITLE, &options(pairs)).unwrap()
}

fn options(pairs: &[(&str, &str)]) -> ImageOptions {
    ImageOptions::from_pairs(pairs.iter().copied()).unwrap()
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
fn an_svg_is_small_and_says_what_it_is() {
    let image = svg_of(&symbol(&[]));
    // npm qrcode and segno: 1,227 and 1,261 bytes, without a title.
    assert!(image.len() <= 1_120, "{} bytes", image.len());
    let document = roxmltree::Document::parse(&image).unwrap();
    let root = document.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    assert_eq!(root.attribute("shape-rendering"), Some("crispEdges"));
    assert_eq!((root.attribute("width"), root.attribute("height")), (Some("256"), Some("256")));
    let title = root.first_element_child().unwrap();
    assert_eq!((title.tag_name().name(), title.text()), ("title", Some(TITLE)));
    let tags: Vec<_> = root.children().map(|child| child.tag_name().name()).collect();
    assert_eq!(tags, ["title", "rect", "path"]);
}

#[test]
fn a_png_is_small() {
    // 8 pixels a module; segno: 288 bytes.
    let image = symbol(&[("size", "264")]).draw(Format::Png);
    assert!(image.len() <= 288, "{} bytes", image.len());
    // npm qrcode: 1,549 bytes.
    let image = symbol(&[]).draw(Format::Png);
    assert!(image.len() <= 420, "{} bytes", image.len());
}

#[test]
fn a_size_too_small_to_scan_is_refused_with_the_one_that_works() {
    let text = format!("HTTPS://{}.EXAMPLE/r/{}", "HOST".repeat(13), "a_".repeat(32));
    let at = |size: &str| Symbol::new(&text, TITLE, &options(&[("level", "H"), ("size", size)]));
    let error = at("64").unwrap_err();
    let SymbolError::ImageTooSmall { smallest } = error else { panic!("{error:?}") };
    assert_eq!(error.option(), "size");
    assert!(error.to_string().contains(&smallest.to_string()));
    assert!(at(&(smallest - 1).to_string()).is_err());
    assert!(at(&smallest.to_string()).is_ok());
    assert!(at("256").is_ok());
}

#[test]
fn a_text_too_long_for_the_level_is_refused() {
    let long = |length: usize| {
        Symbol::new(&"p".repeat(length), TITLE, &options(&[("level", "H"), ("size", "4096")]))
    };
    assert!(long(1_273).is_ok());
    let error = long(1_274).unwrap_err();
    assert_eq!((error, error.option()), (SymbolError::TextTooLong, "level"));
}

/// A fingerprint stands for the bytes, and is made without drawing them.
#[test]
fn the_same_request_gives_other_bytes_only_with_another_rendering_number() {
    let hash = |size, format| {
        let image = symbol(&[("size", size), ("color", "000080")]).draw(format);
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
fn a_fingerprint_tells_apart_whatever_changes_the_bytes() {
    let plain = options(&[]);
    let mut fingerprints = vec![
        fingerprint(Format::Svg, TEXT, TITLE, &plain),
        fingerprint(Format::Png, TEXT, TITLE, &plain),
        fingerprint(Format::Svg, "ABD", TITLE, &plain),
        fingerprint(Format::Svg, TEXT, "another", &plain),
        fingerprint(Format::Svg, &TEXT[..TEXT.len() - 1], &format!("P{TITLE}"), &plain),
    ];
    let changes =
        [("size", "512"), ("margin", "1"), ("level", "H"), ("color", "000001"), ("background", "FFFFFE")];
    fingerprints.extend(changes.map(|change| fingerprint(Format::Svg, TEXT, TITLE, &options(&[change]))));
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 10);
    assert_eq!(
        fingerprint(Format::Svg, TEXT, TITLE, &plain),
        fingerprint(Format::Svg, TEXT, TITLE, &options(&[("size", "256"), ("level", "m")]))
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
        text in "[A-Z0-9:/.]{1,40}[a-z0-9_-]{0,40}|\\PC{1,60}",
        title in "[ -~]{0,60}",
        options in any_options(),
    ) {
        let symbol = match Symbol::new(&text, &title, &options) {
            Ok(symbol) => symbol,
            Err(error) => {
                prop_assert_eq!(error.option(), "size");
                return Ok(());
            }
        };
        let modules = symbol.rows.len();

        let image = svg_of(&symbol);
        let document = roxmltree::Document::parse(&image).unwrap();
        let element = document.root_element().first_element_child().unwrap();
        prop_assert_eq!(element.text().unwrap_or_default(), title);
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
