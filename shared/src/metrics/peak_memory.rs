//! The most memory that this process has had.

use std::fs;

/// The peak of the process's resident set since it started, in megabytes of 1,024 kilobytes, as Lambda counts its own.
/// `None` where there is no `/proc`.
pub(super) fn peak_memory() -> Option<f64> {
    parse(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Finds the line `VmHWM:     13312 kB`.
fn parse(status: &str) -> Option<f64> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u32 = peak.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(f64::from(kilobytes) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_megabytes() {
        assert_eq!(parse("VmPeak:\t  90000 kB\nVmHWM:\t   13312 kB\nVmRSS:\t   9000 kB\n"), Some(13.0));
        assert_eq!(parse("VmRSS:\t   9000 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_grows_with_what_is_touched_and_stays() {
        let before = peak_memory().unwrap();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(peak_memory().unwrap() > before + 30.0);
    }
}
