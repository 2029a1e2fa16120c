//! What a Mercure hub does on the wire, one module per section of the specification.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failed step must stop the test, and a black-box test has only the real clock"
)]

mod acme;
mod addresses;
mod admin;
mod admin_stop;
mod alternate_topics;
mod authorization;
mod batches;
mod bench;
mod checks;
mod connections;
mod connections_limits;
mod cookie;
mod corpus;
mod cors;
mod crashes;
mod delivery;
mod development;
mod directives;
mod doctor;
mod documents;
mod errors;
mod errors_cors;
mod event;
mod faults;
mod faults_http2;
mod floods;
mod generations;
mod heads;
mod health;
mod history;
mod history_files;
mod http2;
mod http3;
mod https;
mod hubs;
mod identity;
mod ids;
mod key_sets;
mod keys;
mod language;
mod laravel;
mod limits;
mod limits_memory;
mod log;
mod log_refusals;
mod logs;
mod matchers;
mod metadata;
mod predicate;
mod presence;
mod presence_documents;
mod presence_forged;
mod presence_limits;
mod presence_outages;
mod publication;
mod race;
mod recipes;
mod reconnection;
mod reload;
mod reload_storm;
mod reserved_namespace;
mod running;
mod secrets;
mod shutdown;
mod site;
mod sites;
mod stalled;
mod stream;
mod streams;
mod subscription;
mod symfony;
mod systemd;
mod target;
mod tokens;
mod verbs;
mod wire;
