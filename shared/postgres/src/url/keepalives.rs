//! TCP keepalives, by which a dead peer is noticed.

use std::time::Duration;

use tokio_postgres::Config;

/// TCP keepalives. By default, a dead peer is noticed after 30 + 5 × 10 s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keepalives {
    pub(super) enabled: bool,
    pub(super) idle: Duration,
    pub(super) interval: Duration,
    pub(super) count: u32,
    pub(super) user_timeout: Option<Duration>,
}

impl Default for Keepalives {
    fn default() -> Self {
        let (idle, interval) = (Duration::from_secs(30), Duration::from_secs(10));
        Self { enabled: true, idle, interval, count: 5, user_timeout: None }
    }
}

impl Keepalives {
    /// Sets the keepalives in the driver's configuration.
    pub(super) fn apply(&self, config: &mut Config) {
        config
            .keepalives(self.enabled)
            .keepalives_idle(self.idle)
            .keepalives_interval(self.interval)
            .keepalives_retries(self.count);
        if let Some(timeout) = self.user_timeout {
            config.tcp_user_timeout(timeout);
        }
    }
}
