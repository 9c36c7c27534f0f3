//! Finds the members of an event under the names that each sender gives them.

use serde_json::value::RawValue;

use crate::webhook::invalid_effect::{FieldProblem, InvalidEffect};
use crate::webhook::raw_json;
use crate::webhook::source::Scheme;

/// The members of an event that are read, as they were written.
#[derive(Default)]
pub(super) struct EventFields<'a> {
    pub(super) id: Option<&'a RawValue>,
    pub(super) event_type: Option<&'a RawValue>,
    pub(super) occurred_at: Option<&'a RawValue>,
    pub(super) data: Option<&'a RawValue>,
}

impl<'a> EventFields<'a> {
    /// Reads the members, each of which has several names, depending on the sender.
    pub(super) fn read(scheme: Scheme, item: &'a str) -> Result<Self, InvalidEffect> {
        if !item.starts_with('{') {
            return Err(InvalidEffect { field: "event", problem: FieldProblem::WrongType });
        }
        let names = ["id", "type", "eventType", "timestamp", "occurredAt", "data", "payload"];
        let unreadable = |_| InvalidEffect { field: "event", problem: FieldProblem::Unreadable };
        let [id, event_type, type_alias, time, time_alias, data, data_alias] =
            raw_json::members(item, &names).map_err(unreadable)?;
        let mut fields = Self {
            id,
            event_type: event_type.or(type_alias),
            occurred_at: time.or(time_alias),
            data: data.or(data_alias),
        };
        match scheme {
            Scheme::Stripe => {
                let [created] = raw_json::members(item, &["created"]).map_err(unreadable)?;
                fields.occurred_at = fields.occurred_at.or(created);
            }
            Scheme::Slack => fields.add_slack(item).map_err(unreadable)?,
            Scheme::Standard | Scheme::Github | Scheme::Shopify => {}
        }
        Ok(fields)
    }

    /// Reads Slack's wrapper around an event: `{"type": "event_callback", "event_id", "event_time", "event":
    /// {"type"}}`.
    fn add_slack(&mut self, item: &'a str) -> Result<(), serde_json::Error> {
        let [id, time, event] = raw_json::members(item, &["event_id", "event_time", "event"])?;
        self.id = id.or(self.id);
        self.occurred_at = self.occurred_at.or(time);
        if let Some(event) = event.filter(|event| event.get().starts_with('{')) {
            let [inner] = raw_json::members(event.get(), &["type"])?;
            self.event_type = inner.or(self.event_type);
        }
        Ok(())
    }
}
