//! Symbols are read back by `ZBar`, an independent reader, from PNG and from SVG as librsvg draws it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, ensure};
use shared::qr::short_url::symbol_url;
use tessera_symbol::{Format, ImageOptions, Symbol, SymbolError};
use url::Url;

const LEVELS: [&str; 4] = ["L", "M", "Q", "H"];
const MARGINS: [&str; 4] = ["0", "1", "4", "16"];
const SMALL_SIZES: [&str; 5] = ["64", "65", "100", "256", "333"];

/// An image to be read back, and what must be read.
struct Case {
    name: String,
    format: Format,
    symbol: Symbol,
    url: String,
}

impl Case {
    /// With a size that is refused, the case is the size that the refusal names.
    fn new((base, id): &(Url, String), format: Format, query: &[(&str, &str)]) -> Result<Self> {
        let url = symbol_url(base, id);
        let draw = |query: &[(&str, &str)]| {
            let options = ImageOptions::from_pairs(query.iter().copied()).expect("the options are in range");
            Symbol::new(&url, "QR code", &options)
        };
        let symbol = match draw(query) {
            Err(SymbolError::ImageTooSmall { smallest }) => {
                let smallest = smallest.to_string();
                let sized = |&(field, value)| {
                    if field == "size" { (field, smallest.as_str()) } else { (field, value) }
                };
                draw(&query.iter().map(sized).collect::<Vec<_>>())?
            }
            drawn => drawn?,
        };
        Ok(Self { name: format!("{id} {format:?} {query:?}"), format, symbol, url })
    }
}

fn shortest() -> Result<(Url, String)> {
    Ok((Url::parse("http://q.co")?, "ABC".to_owned()))
}

/// A host of 60 characters, a path in lower case, and an id that leaves alphanumeric mode at every other character.
fn longest() -> Result<(Url, String)> {
    Ok((Url::parse(&format!("https://{}.example/go", "host".repeat(13)))?, "a_".repeat(32)))
}

#[test]
fn the_shortest_and_the_longest_url_are_read_at_each_level_size_and_margin() -> Result<()> {
    let mut cases = Vec::new();
    for link in [shortest()?, longest()?] {
        for format in [Format::Svg, Format::Png] {
            let mut add = |level, size, margin| {
                let case = Case::new(&link, format, &[("level", level), ("size", size), ("margin", margin)])?;
                cases.push(case);
                Ok::<_, anyhow::Error>(())
            };
            for level in LEVELS {
                for size in SMALL_SIZES {
                    for margin in MARGINS {
                        add(level, size, margin)?;
                    }
                }
                add(level, "1000", "4")?;
            }
            add("M", "4096", "4")?;
        }
    }
    assert_read_back(&cases)
}

#[test]
fn colours_of_the_least_contrast_are_read() -> Result<()> {
    let pairs = [
        ("949494", "FFFFFF"),
        ("000000", "5A5A5A"),
        ("FF0000", "FFFFFF"),
        ("000080", "FF6060"),
        ("0000FF", "FFFF00"),
        ("008000", "E0E0FF"),
        ("C00000", "90EE90"),
    ];
    let mut cases = Vec::new();
    for (color, background) in pairs {
        for format in [Format::Svg, Format::Png] {
            cases.push(Case::new(&shortest()?, format, &[("color", color), ("background", background)])?);
        }
    }
    assert_read_back(&cases)
}

fn assert_read_back(cases: &[Case]) -> Result<()> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let unread: Result<Vec<Vec<&str>>> = thread::scope(|scope| {
        let chunks = cases.chunks(cases.len().div_ceil(workers));
        let workers: Vec<_> = chunks.map(|cases| scope.spawn(|| unread(cases))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker returns its errors")).collect()
    });
    let unread = unread?.concat();
    ensure!(unread.is_empty(), "{} of {} were not read: {unread:#?}", unread.len(), cases.len());
    Ok(())
}

/// The names of the cases in whose image the URL is not found.
fn unread(cases: &[Case]) -> Result<Vec<&str>> {
    let directory = tempfile::tempdir()?;
    let images: Vec<PathBuf> =
        (0..cases.len()).map(|index| directory.path().join(format!("{index}.png"))).collect();
    for (case, image) in cases.iter().zip(&images) {
        write_pixels(case, image)?;
    }
    let found = read(&images)?;
    let is_unread = |(case, image): &(&Case, &PathBuf)| found.get(*image) != Some(&case.url);
    Ok(cases.iter().zip(&images).filter(is_unread).map(|(case, _)| case.name.as_str()).collect())
}

/// Writes the case as a PNG file: its own, or its SVG at the size that it declares.
fn write_pixels(case: &Case, image: &Path) -> Result<()> {
    let bytes = case.symbol.draw(case.format);
    match case.format {
        Format::Png => fs::write(image, bytes)?,
        Format::Svg => {
            let drawing = image.with_extension("svg");
            fs::write(&drawing, bytes)?;
            let drawn = run(Command::new("rsvg-convert").arg(&drawing).arg("--output").arg(image))?;
            ensure!(drawn.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&drawn.stderr));
        }
    }
    Ok(())
}

/// What `ZBar` reads from each image; one without a symbol is missing.
fn read(images: &[PathBuf]) -> Result<HashMap<PathBuf, String>> {
    let report =
        String::from_utf8(run(Command::new("zbarimg").args(["--quiet", "--xml"]).args(images))?.stdout)?;
    let found = report.split("<source href='").skip(1).filter_map(|source| {
        let (image, rest) = source.split_once('\'')?;
        let (_, data) = rest.split_once("<data><![CDATA[")?;
        Some((PathBuf::from(image), data.split_once("]]>")?.0.to_owned()))
    });
    Ok(found.collect())
}

fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_owned();
    command
        .output()
        .with_context(|| format!("{} is missing: apt-get install zbar-tools librsvg2-bin", program.display()))
}
