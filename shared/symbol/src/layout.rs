//! Where the modules lie on the pixels.

/// Fewest pixels a module that readers of clean images still tell apart without fail.
///
/// Measured with `ZBar` 0.23 on 160 symbols of 21 to 77 modules: at exactly 2 all are read, with any margin; between
/// 1 and 2 a tenth to nine tenths, and fewer in grey (antialiased) than in black and white.
const PIXELS_PER_MODULE: usize = 2;

/// From 3 pixels a module on, modules may differ by one pixel: all were read from 2.4 on.
const UNEVEN_FROM: usize = 3;

/// The quiet zone that is never given up to make the modules larger, unless the caller asked for less.
const MIN_MARGIN: usize = 1;

/// A square of `size` pixels with a symbol in it. Lengths are in half modules, so that all are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) size: usize,
    pub(super) modules: usize,
    /// Background left of and above the symbol, in half modules.
    pub(super) margin: usize,
    /// Width of the whole square, in half modules.
    pub(super) width: usize,
}

impl Layout {
    /// The best way to draw `modules` with `margin` modules around them on `size` pixels; the error is the
    /// smallest size that works.
    ///
    /// With 3 pixels a module or more, symbol and margin fill the square, each edge on the nearest pixel. With
    /// fewer, each module is 2 x 2 pixels and the margin takes the rest: more than asked, or less but not under
    /// 1 module.
    pub(super) fn new(modules: usize, margin: usize, size: usize) -> Result<Self, usize> {
        if size >= UNEVEN_FROM * (modules + 2 * margin) {
            return Ok(Self { size, modules, margin: 2 * margin, width: 2 * (modules + 2 * margin) });
        }
        let smallest = PIXELS_PER_MODULE * (modules + 2 * margin.min(MIN_MARGIN));
        if size < smallest {
            return Err(smallest);
        }
        // A pixel is half a module here.
        Ok(Self { size, modules, margin: (size - PIXELS_PER_MODULE * modules) / 2, width: size })
    }

    /// The pixel at which module `index` begins and the one before it ends.
    pub(super) fn edge(&self, index: usize) -> usize {
        ((self.margin + 2 * index) * self.size * 2 + self.width) / (2 * self.width)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn modules_fill_the_square_when_they_are_large() {
        let layout = Layout::new(25, 4, 330).unwrap();
        assert_eq!((layout.edge(0), layout.edge(1), layout.edge(25)), (40, 50, 290));
        let layout = Layout::new(25, 0, 333).unwrap();
        assert_eq!((layout.edge(0), layout.edge(25)), (0, 333));
    }

    #[test]
    fn small_modules_are_all_alike_and_the_margin_takes_the_rest() {
        // 33 modules on 98 pixels would be 2.97 each.
        let layout = Layout::new(25, 4, 98).unwrap();
        assert_eq!((layout.edge(0), layout.edge(1), layout.edge(25)), (24, 26, 74));
        // 33 modules on 64 pixels would be 1.94 each: the margin gives way.
        let layout = Layout::new(25, 4, 64).unwrap();
        assert_eq!((layout.edge(0), layout.edge(1), layout.edge(25)), (7, 9, 57));
    }

    #[test]
    fn the_smallest_size_is_named_when_even_a_narrow_margin_does_not_help() {
        assert_eq!(Layout::new(61, 4, 100), Err(126));
        assert_eq!(Layout::new(61, 0, 100), Err(122));
        assert!(Layout::new(61, 4, 126).is_ok());
    }

    proptest! {
        #[test]
        fn every_module_gets_its_pixels(
            version in 1_usize..=40, margin in 0_usize..=16, size in 64_usize..=4096,
        ) {
            let modules = 17 + 4 * version;
            match Layout::new(modules, margin, size) {
                Ok(layout) => {
                    let widths: Vec<_> = (0..modules).map(|i| layout.edge(i + 1) - layout.edge(i)).collect();
                    let (narrowest, widest) = (widths.iter().min().unwrap(), widths.iter().max().unwrap());
                    prop_assert!(*narrowest >= 2 && widest - narrowest <= usize::from(*narrowest > 2));
                    let (left, right) = (layout.edge(0), size - layout.edge(modules));
                    prop_assert!(left.abs_diff(right) <= 1);
                    prop_assert!(left >= margin.min(1) * 2);
                }
                Err(smallest) => {
                    prop_assert!(smallest > size);
                    prop_assert!(Layout::new(modules, margin, smallest).is_ok());
                    prop_assert!(Layout::new(modules, margin, smallest - 1).is_err());
                }
            }
        }
    }
}
