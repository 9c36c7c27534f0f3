//! Statistics as CSV, one line a group.

use super::ScanStat;
use super::query::GroupBy;
use crate::spreadsheet;

/// Writes the statistics as CSV: a line that names the columns, then one line a group.
pub fn to_csv(by: GroupBy, stats: &[ScanStat]) -> Result<String, csv::Error> {
    let header = [by.as_str(), "total", "unique", "bots"].map(str::to_owned);
    let lines = stats.iter().map(|ScanStat { key, total, unique, bots }| {
        [key.clone().unwrap_or_default(), total.to_string(), unique.to_string(), bots.to_string()]
    });
    spreadsheet::to_csv(std::iter::once(header).chain(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_columns() {
        let stat = ScanStat { key: Some("2026-11-20".to_owned()), total: 3, unique: 2, bots: 1 };
        assert_eq!(to_csv(GroupBy::Day, &[stat]).unwrap(), "day,total,unique,bots\n2026-11-20,3,2,1\n");
    }
}
