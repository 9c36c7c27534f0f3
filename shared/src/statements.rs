//! Every statement that the functions send, so that tests can hold each of them to the invariants.

use crate::{health, jobs, qr, webhook};
use tessera_postgres::Statement;

/// All of them. A statement that is not here is not tested.
pub const ALL: &[&Statement] = &[
    &qr::create::CREATE,
    &qr::read::GET,
    &qr::read::LIST,
    &qr::read::HISTORY,
    &qr::read::IMAGE,
    &qr::edit::EDIT,
    &qr::edit::ROLLBACK,
    &qr::edit::DELETE,
    &qr::numbers::NUMBERS,
    &qr::scan::REDIRECT,
    &webhook::accept::ACCEPT,
    &health::REPORT,
    &health::REPLICA,
    &jobs::claim::CLAIM,
    &jobs::finish::FINISH,
    &jobs::retention::CLEAN,
];
