//! The symbol: what is encoded, and how it is drawn as SVG and PNG.
