//! What a deployment does: the template as CloudFormation gets it, and the migrations of the schema.

mod migrate;
pub(crate) mod migrations;
mod template;
