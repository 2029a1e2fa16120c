//! What an acknowledged update survives with the settings of PostgreSQL.

use talaria_postgres::Survey;
use talaria_transport::measures::Survives;

use super::others::others;

/// The ways to commit that do not wait for the standbys' disks.
const REMOTE_WRITE: &str = "remote_write";
const LOCAL: &str = "local";
const OFF: &str = "off";

/// Which server it is, how many of the `members` of the log are others, and what an acknowledged update survives with
/// which settings.
pub(crate) fn lines(survey: &Survey, members: u64) -> Vec<String> {
    let standbys = match survey.standbys {
        0 => "no standby".to_owned(),
        1 => "1 standby".to_owned(),
        more => format!("{more} standbys"),
    };
    let pooled = match survey.is_pooled {
        true => {
            ", behind a pooler, so that the server is asked for news instead of announcing them"
        }
        false => "",
    };
    vec![
        format!(
            "PostgreSQL {}, primary {}, {standbys} connected, {}{pooled}",
            survey.version,
            survey.primary,
            others(members),
        ),
        format!("{}; {}", crash(survey), failover(survey)),
        format!("settings of the server: {}", found(survey)),
    ]
}

fn found(survey: &Survey) -> String {
    let on = |is_on: bool| if is_on { "on" } else { "off" };
    let names = match survey.synchronous_standby_names.as_str() {
        "" => "''",
        names => names,
    };
    format!(
        "`fsync {}`, `full_page_writes {}`, `synchronous_commit {}`, `synchronous_standby_names {names}`",
        on(survey.fsync),
        on(survey.full_page_writes),
        survey.synchronous_commit,
    )
}

/// What a crash of the primary costs that comes back with its own data.
fn crash(survey: &Survey) -> &'static str {
    match (survey.fsync, survey.synchronous_commit.as_str()) {
        (_, OFF) => {
            "a crash of the server or of its machine loses acknowledged updates of a second or less"
        }
        (true, _) => "a crash of the server or of its machine loses no acknowledged update",
        (false, _) => {
            "a crash of the server loses no acknowledged update, and one of its machine may damage the whole database"
        }
    }
}

/// Whether a commit waits for a standby.
fn waits(survey: &Survey) -> bool {
    !survey.synchronous_standby_names.is_empty()
        && !matches!(survey.synchronous_commit.as_str(), OFF | LOCAL)
}

/// The same as figures.
pub(crate) fn survives(survey: &Survey) -> Survives {
    let is_flushed = survey.synchronous_commit != OFF;
    Survives {
        server: Some(is_flushed),
        machine: Some(is_flushed && survey.fsync),
        failover: Some(waits(survey)),
    }
}

/// What it costs that a standby takes the place of the primary.
fn failover(survey: &Survey) -> &'static str {
    match (waits(survey), survey.synchronous_commit.as_str()) {
        (true, REMOTE_WRITE) => {
            "a synchronous standby has each update in memory before it is acknowledged, so a failover to it loses none unless its machine fails too"
        }
        (true, _) => {
            "a synchronous standby has each update before it is acknowledged, so a failover to it loses none"
        }
        (false, _) if survey.standbys == 0 => "there is no standby that could take its place",
        (false, _) => {
            "a failover loses what the standby did not have yet, unless `synchronous_standby_names` is set"
        }
    }
}

/// What should be changed.
pub(crate) fn warnings(survey: &Survey) -> Vec<String> {
    let mut said = Vec::new();
    if !survey.fsync {
        said.push(
            "the server does not wait for its disk, so a loss of power may damage its data; set `fsync = on` there"
                .to_owned(),
        );
    }
    if survey.fsync && !survey.full_page_writes {
        said.push(
            "a loss of power may leave pages of the database half written; set `full_page_writes = on` on the server, unless its file system prevents that"
                .to_owned(),
        );
    }
    if survey.synchronous_commit == OFF {
        said.push(
            "the server acknowledges updates before they are on its disk; set `synchronous_commit = on` there, or for the hub's role: ALTER ROLE … SET synchronous_commit = on"
                .to_owned(),
        );
    }
    if !survey.synchronous_standby_names.is_empty() && survey.synchronous_commit == LOCAL {
        said.push(
            "`synchronous_commit` is local, so commits wait for no standby; set it to on for the hub's role"
                .to_owned(),
        );
    }
    match (waits(survey), survey.standbys) {
        (true, 0) => said.push(format!(
            "`synchronous_standby_names` is {}, and no standby is connected, so publishes are refused until one is",
            survey.synchronous_standby_names
        )),
        (true, 1) => said.push(
            "one standby is connected, so publishes are refused while it is away; run two for a log that stays available"
                .to_owned(),
        ),
        _ => {}
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(fsync: bool, commit: &str, names: &str, standbys: u64) -> Survey {
        let mut survey = Survey::default();
        survey.version = "15.14".to_owned();
        survey.primary = "db:5432".to_owned();
        survey.fsync = fsync;
        survey.full_page_writes = true;
        survey.synchronous_commit = commit.to_owned();
        survey.synchronous_standby_names = names.to_owned();
        survey.standbys = standbys;
        survey
    }

    /// Settings, a part of the sentence about them, and a part of the warning.
    fn cases() -> Vec<(Survey, &'static str, Option<&'static str>)> {
        vec![
            (
                survey(true, "on", "", 0),
                "of its machine loses no acknowledged update; there is no standby",
                None,
            ),
            (
                survey(true, "on", "", 1),
                "unless `synchronous_standby_names` is set",
                None,
            ),
            (
                survey(true, "on", "*", 2),
                "before it is acknowledged, so a failover to it loses none",
                None,
            ),
            (
                survey(true, "remote_apply", "*", 2),
                "a failover to it loses none",
                None,
            ),
            (
                survey(true, "remote_write", "*", 2),
                "in memory before",
                None,
            ),
            (
                survey(true, "on", "*", 1),
                "a failover to it loses none",
                Some("run two"),
            ),
            (
                survey(true, "on", "a, b", 0),
                "a failover to it loses none",
                Some("`synchronous_standby_names` is a, b"),
            ),
            (
                survey(true, "local", "*", 2),
                "unless `synchronous_standby_names`",
                Some("is local"),
            ),
            (
                survey(true, "off", "", 0),
                "of a second or less",
                Some("`synchronous_commit = on`"),
            ),
            (
                survey(false, "on", "", 0),
                "may damage the whole database",
                Some("`fsync = on`"),
            ),
        ]
    }

    /// Each combination of settings has a sentence, and what is weak has a warning with its remedy.
    #[test]
    fn what_updates_survive_follows_from_the_settings() {
        for (found, expected, warned) in cases() {
            let said = lines(&found, 1).join("\n");
            assert!(said.contains(expected), "{expected}: {said}");
            assert!(said.contains("PostgreSQL 15.14, primary db:5432"), "{said}");
            let figures = survives(&found);
            let is_said = |words| Some(said.contains(words));
            assert_eq!(
                figures.machine,
                is_said("or of its machine loses no"),
                "{said}"
            );
            assert_eq!(
                figures.failover,
                is_said("a synchronous standby has"),
                "{said}"
            );
            let warnings = warnings(&found);
            match warned {
                None => assert_eq!(warnings.len(), 0, "{warnings:?}"),
                Some(words) => {
                    assert!(
                        warnings.len() == 1 && warnings[0].contains(words),
                        "{warnings:?}"
                    );
                }
            }
        }
        let mut torn = survey(true, "on", "", 0);
        torn.full_page_writes = false;
        assert_eq!(warnings(&torn).len(), 1);
        torn.is_pooled = true;
        let said = lines(&torn, 3).join("\n");
        assert!(said.contains("2 other nodes, behind a pooler"), "{said}");
    }
}
