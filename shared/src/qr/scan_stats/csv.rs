//! Statistics as CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).

use super::ScanStat;
use super::query::GroupBy;

/// Writes the statistics as CSV: a line that names the columns, then one line a group.
pub fn to_csv(by: GroupBy, stats: &[ScanStat]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([by.as_str(), "total", "unique", "bots"])?;
    for stat in stats {
        let count = |count: i64| count.to_string();
        writer.write_record([
            stat.key.clone().unwrap_or_default(),
            count(stat.total),
            count(stat.unique),
            count(stat.bots),
        ])?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
