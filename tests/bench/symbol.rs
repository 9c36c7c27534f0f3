//! Benchmarks how long a symbol takes, from URL to bytes, and how many bytes it has. `symbol.sh` runs this beside its
//! peers.
//!
//! It prints one line for each format and size: name, format, pixels, microseconds (median), bytes.

#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tessera_symbol::{Format, ImageOptions, Symbol};

const ROUNDS: usize = 2_000;

fn main() {
    for (format, name) in [(Format::Svg, "svg"), (Format::Png, "png")] {
        for size in ["256", "264", "1024", "4096"] {
            let options = ImageOptions::from_pairs([("size", size)]).expect("options in range");
            // 28 characters, as a short URL has them.
            let draw = || {
                let symbol = Symbol::new(black_box("HTTPS://Q.EXAMPLE/R/K7M2Q9XP"), "QR code", &options);
                symbol.expect("a size that scans").draw(format)
            };
            let rounds = if size == "4096" { ROUNDS / 20 } else { ROUNDS };
            let mut times: Vec<Duration> = (0..rounds)
                .map(|_| {
                    let start = Instant::now();
                    black_box(draw());
                    start.elapsed()
                })
                .collect();
            times.sort();
            println!("tessera\t{name}\t{size}\t{}\t{}", times[rounds / 2].as_micros(), draw().len());
        }
    }
}
