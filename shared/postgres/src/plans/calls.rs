//! The calls of the functions that keep plans, each made once in a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::function;
use crate::statement::Statement;

/// The calls by the names of their statements. To make one is to hash the statement's text, which is not for every request.
#[derive(Debug, Default)]
pub(crate) struct PlanCalls(Mutex<HashMap<&'static str, Arc<str>>>);

impl PlanCalls {
    /// The statement that calls the function of `statement`.
    pub(crate) fn get(&self, statement: &Statement) -> Arc<str> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(calls.entry(statement.name).or_insert_with(|| function::call(statement).into()))
    }
}
