//! Every statement that the functions send, so that tests can hold each of them to the invariants.

use tessera_postgres::Statement;

use crate::{health, jobs, qr, webhook};

/// Every statement that the functions declare. One that is missing here would escape the tests.
pub const ALL: &[&Statement] = &[
    &qr::create::CREATE,
    &qr::read::GET,
    &qr::list::LIST,
    &qr::read::HISTORY,
    &qr::read::IMAGE,
    &qr::edit::EDIT,
    &qr::edit::ROLLBACK,
    &qr::edit::DELETE,
    &qr::scan::REDIRECT,
    &qr::scan::RESOLVE,
    &qr::scan_stats::SCAN_STATS,
    &webhook::accept::ACCEPT,
    &health::REPORT,
    &health::REPLICA,
    &jobs::claim::CLAIM,
    &jobs::finish::FINISH,
    &jobs::retention::CLEAN,
];
