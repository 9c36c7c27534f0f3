//! Dynamic QR codes: ids, rules, statements and the symbol.

pub mod symbol;
