//! PNG: one bit a pixel.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use super::{Color, Symbol};

pub(super) fn draw(symbol: &Symbol) -> Vec<u8> {
    let mut image = Vec::new();
    let size = u32::try_from(symbol.layout.size).expect("a size is at most 4096");
    let mut encoder = Encoder::new(&mut image, size, size);
    encoder.set_depth(BitDepth::One);
    // Above 1024 px the higher level saves half the bytes; below it saves none.
    encoder.set_compression(if size > 1024 { Compression::High } else { Compression::Balanced });
    // Rows are alike as they are; any filter makes them less so.
    encoder.set_filter(Filter::NoFilter);
    // Black on white needs no palette: 0 is black.
    if (symbol.color, symbol.background) == (Color::BLACK, Color::WHITE) {
        encoder.set_color(ColorType::Grayscale);
    } else {
        encoder.set_color(ColorType::Indexed);
        encoder.set_palette([symbol.color.0, symbol.background.0].concat());
    }
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels(symbol)));
    written.expect("a vector takes every byte, and the pixels are as many as the header says");
    image
}

/// The rows of pixels, packed eight to a byte from the left; dark is 0, light is 1.
fn pixels(symbol: &Symbol) -> Vec<u8> {
    let layout = symbol.layout;
    let edges: Vec<usize> = (0..=layout.modules).map(|index| layout.edge(index)).collect();
    let blank = vec![0xFF; layout.size.div_ceil(8)];
    let mut pixels = blank.repeat(edges[0]);
    for (row, y) in symbol.rows.iter().zip(edges.windows(2)) {
        let mut line = blank.clone();
        for x in row.iter().zip(edges.windows(2)).filter(|(dark, _)| **dark).flat_map(|(_, x)| x[0]..x[1]) {
            line[x / 8] &= !(0x80 >> (x % 8));
        }
        pixels.extend(line.repeat(y[1] - y[0]));
    }
    pixels.extend(blank.repeat(layout.size - edges[layout.modules]));
    pixels
}
