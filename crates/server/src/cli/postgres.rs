//! `talaria postgres`: what a log in PostgreSQL needs there.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use talaria_config::Error;
use talaria_config::options::check_schema;
use talaria_postgres::{PostgresOptions, quoted, schema_sql};

use super::output;

/// What `talaria postgres schema --help` adds.
const HELP: &str = "\
A hub whose role may create schemas in its database does this itself at its first start. With a role that may not,
have the owner of the database run it once, and again after an update of the hub that says so:
  talaria postgres schema hub | psql --dbname app

With --publisher the role of an application may publish by SQL, in its own transactions:
  SELECT talaria.publish(ARRAY['https://example.com/books/1'], '{\"status\": \"sold\"}');";

/// The flags of `postgres`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print the SQL that creates the tables, and the least privileges that the hub's role needs.
    #[command(after_help = HELP)]
    Schema(Schema),
}

#[derive(clap::Args)]
struct Schema {
    /// The role that hubs sign in as.
    #[arg(value_name = "ROLE")]
    role: String,
    /// The `schema` of `transport postgres`.
    #[arg(long, value_name = "NAME", default_value = "talaria")]
    schema: String,
    /// The `topic_index` of `transport postgres`.
    #[arg(
        long,
        value_name = "on|off",
        default_value = "on",
        hide_possible_values = true
    )]
    topic_index: Switch,
    /// A role that may publish by SQL; may be repeated.
    #[arg(long, value_name = "ROLE")]
    publisher: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Runs a verb of `postgres`.
pub(super) fn main(args: &Args) -> ExitCode {
    let Action::Schema(schema) = &args.action;
    if let Err((problem, remedy)) = check_schema(&schema.schema, "--schema") {
        return output::failure(Error::new(problem).remedy(remedy));
    }
    let mut options = PostgresOptions::new(Vec::new(), schema.role.as_str(), "");
    options.schema.clone_from(&schema.schema);
    options.topic_index = schema.topic_index == Switch::On;
    let mut sql = schema_sql(&options, &schema.role);
    let name = quoted(&schema.schema);
    for publisher in &schema.publisher {
        let role = quoted(publisher);
        sql.push_str(&format!(
            "GRANT USAGE ON SCHEMA {name} TO {role};\nGRANT EXECUTE ON FUNCTION {name}.publish TO {role};\n"
        ));
    }
    output::print(&sql)
}
