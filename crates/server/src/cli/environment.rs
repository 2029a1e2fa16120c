//! The environment of the process.

use std::collections::HashMap;

use talaria_config::{Error, options};

/// The variables of the process as text.
///
/// # Errors
///
/// A variable that configures something is not UTF-8: silence would mean a hub without it.
pub(super) fn environment() -> Result<HashMap<String, String>, Error> {
    let mut variables = HashMap::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                variables.insert(name, value);
            }
            (Ok(name), Err(_)) if name.starts_with("MERCURE_") || options::reads(&name) => {
                return Err(Error::new(format!("the variable {name} is not UTF-8"))
                    .remedy("write it as text; a key in PEM or as text"));
            }
            (Ok(_) | Err(_), _) => {}
        }
    }
    Ok(variables)
}
