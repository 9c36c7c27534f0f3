//! What `cargo dev` and the test harness both need of a machine.
//!
//! A [`Supervisor`] starts processes and stops them all when the program that started them has ended, however that
//! ended. PostgreSQL is [found or fetched](postgres::Installation), programs of Python's index are installed into
//! [environments of their own](python::Environment), and servers listen on [reserved ports](port::Port).

pub mod account;
pub mod command;
pub mod port;
pub mod postgres;
pub mod process;
pub mod python;
pub mod supervisor;

pub use account::Account;
pub use process::{Exit, Output, Process};
pub use supervisor::Supervisor;
