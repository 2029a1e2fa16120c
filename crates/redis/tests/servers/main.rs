//! The backend against real servers.

mod basics;
mod conditions;
mod discovery;
mod members;
mod outages;
mod replicas;
mod retention;
mod runs;
mod support;
mod survey;
mod tls;
