//! What an acknowledged update survives with the settings of a server.

use talaria_config::settings::{RedisPlace, RedisSettings};
use talaria_redis::Survey;
use talaria_transport::measures::Survives;

use super::others::others;

/// Which server it is, how many of the `members` of the log are others, and what an acknowledged update survives with
/// which settings.
pub(crate) fn lines(settings: &RedisSettings, survey: &Survey, members: u64) -> Vec<String> {
    let product = match survey.product.as_str() {
        "valkey" => "Valkey",
        _ => "Redis",
    };
    let replicas = match survey.replicas {
        0 => "no replica".to_owned(),
        1 => "1 replica".to_owned(),
        more => format!("{more} replicas"),
    };
    let others = others(members);
    let mut lines = vec![
        format!(
            "{product} {}, primary {}, {replicas} connected, {others}",
            survey.version, survey.primary
        ),
        format!("{}; {}", crash(survey), failover(settings, survey)),
    ];
    let found = found(survey);
    if !found.is_empty() {
        lines.push(format!("settings of the server: {}", found.join(", ")));
    }
    lines
}

/// The settings that decide it, with their values, as far as they could be read.
fn found(survey: &Survey) -> Vec<String> {
    let append_only = survey.append_only.map(|on| if on { "yes" } else { "no" });
    let is_on = survey.append_only == Some(true);
    // These say something only if they are set.
    let replicas = survey.min_replicas_to_write.filter(|least| *least > 0);
    let lag = survey.min_replicas_max_lag.filter(|_| replicas.is_some());
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let found = [
        ("appendonly", append_only.map(str::to_owned)),
        ("appendfsync", survey.append_fsync.clone().filter(|_| is_on)),
        ("maxmemory-policy", survey.eviction.clone()),
        ("min-replicas-to-write", number(replicas)),
        ("min-replicas-max-lag", number(lag)),
    ];
    let said = found.into_iter();
    said.filter_map(|(name, value)| Some(format!("`{name} {}`", value?)))
        .collect()
}

/// What a crash of the primary costs that comes back with its own data.
fn crash(survey: &Survey) -> &'static str {
    match (survey.append_only, survey.append_fsync.as_deref()) {
        (Some(true), Some("always")) => {
            "a crash of the server or of its machine loses no acknowledged update"
        }
        // While a sync is under way the server holds writes to the file back for up to 2 s, and answers nevertheless.
        (Some(true), Some("everysec")) => {
            "a crash of the server loses what came while it synced its disk, usually nothing, and one of its machine those of up to 2 s"
        }
        (Some(true), Some(_)) => {
            "a crash of the server loses no acknowledged update, and one of its machine what the system had not written yet"
        }
        (Some(true), None) => {
            "a crash of the server loses no acknowledged update; what one of its machine loses depends on `appendfsync`, which this user may not read"
        }
        (Some(false), _) => {
            "a crash of the server loses the updates since its last snapshot, because it keeps no append-only file"
        }
        (None, _) => {
            "what a crash of the server loses depends on `appendonly` and `appendfsync`, which this user may not read"
        }
    }
}

/// The same as figures.
pub(crate) fn survives(settings: &RedisSettings, survey: &Survey) -> Survives {
    let fsync = survey.append_fsync.as_deref();
    let is_kept = |kept: fn(&str) -> bool| match survey.append_only {
        Some(true) => fsync.map(kept),
        Some(false) => Some(false),
        None => None,
    };
    Survives {
        server: is_kept(|fsync| fsync != "everysec"),
        machine: is_kept(|fsync| fsync == "always"),
        failover: Some(settings.replicas > 0),
    }
}

/// What it costs that a replica takes the place of the primary.
fn failover(settings: &RedisSettings, survey: &Survey) -> String {
    match settings.replicas {
        0 if survey.replicas == 0 && !is_managed(settings) => {
            "there is no replica that could take its place".to_owned()
        }
        0 => "a failover loses what the replica did not have yet, unless `replicas` is set"
            .to_owned(),
        replicas => {
            let have = match replicas {
                1 => "1 replica has".to_owned(),
                more => format!("{more} replicas have"),
            };
            let which = match survey.replicas > u64::from(replicas) {
                true => ", if it is to one of those",
                false => "",
            };
            format!("{have} each update before it is acknowledged, so a failover loses none{which}")
        }
    }
}

/// Whether another server takes the place of a primary that fails.
fn is_managed(settings: &RedisSettings) -> bool {
    matches!(
        settings.place,
        RedisPlace::Sentinel { .. } | RedisPlace::Cluster(_)
    )
}

/// What should be changed.
pub(crate) fn warnings(settings: &RedisSettings, survey: &Survey) -> Vec<String> {
    let mut said = Vec::new();
    if survey.append_only == Some(false) && settings.replicas == 0 {
        said.push(
            "acknowledged updates are only in the server's memory; set `appendonly yes` there, or `replicas` here"
                .to_owned(),
        );
    }
    let replicas = u64::from(settings.replicas);
    if survey.replicas < replicas {
        said.push(format!(
            "`replicas` is {replicas}, and only {} are connected, so publishes are refused until the others are",
            survey.replicas
        ));
    } else if survey.replicas == replicas && replicas > 0 {
        said.push(format!(
            "`replicas` is {replicas}, and no more are connected, so publishes are refused while one of them is away; run {}",
            replicas + 1
        ));
    }
    if survey.eviction.is_none() {
        said.push(
            "this user may not read `maxmemory-policy`; make sure that it is `noeviction`, or the server deletes the log when its memory is full"
                .to_owned(),
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use talaria_config::settings::RedisAddress;

    use super::*;

    fn settings(replicas: u32) -> RedisSettings {
        let mut settings = RedisSettings::new(RedisPlace::Address(RedisAddress {
            host: "cache".to_owned(),
            port: 6379,
        }));
        settings.replicas = replicas;
        settings
    }

    fn survey(append_only: Option<bool>, fsync: Option<&str>, replicas: u64) -> Survey {
        let mut survey = Survey::default();
        survey.product = "redis".to_owned();
        survey.version = "7.0.15".to_owned();
        survey.primary = "cache:6379".to_owned();
        survey.append_only = append_only;
        survey.append_fsync = fsync.map(str::to_owned);
        survey.replicas = replicas;
        survey.eviction = Some("noeviction".to_owned());
        survey
    }

    /// Checks that the figures say what the sentences do.
    fn agrees(figures: Survives, said: &str) {
        let failover = said.contains("a failover loses none");
        assert_eq!(figures.failover, Some(failover), "{said}");
        if let Some(machine) = figures.machine {
            assert_eq!(
                machine,
                said.contains("or of its machine loses no"),
                "{said}"
            );
        }
    }

    /// Each combination of settings has a sentence, and what is weak has a warning with its remedy.
    #[test]
    fn what_updates_survive_follows_from_the_settings() {
        for (configured, found, expected, warned) in [
            (
                0,
                survey(Some(true), Some("always"), 0),
                "or of its machine loses no",
                0,
            ),
            (
                0,
                survey(Some(true), Some("everysec"), 0),
                "its machine those of up to 2 s",
                0,
            ),
            (
                0,
                survey(Some(true), Some("no"), 0),
                "had not written yet",
                0,
            ),
            (0, survey(Some(true), None, 0), "may not read", 0),
            (0, survey(None, None, 0), "may not read", 0),
            (
                0,
                survey(Some(false), None, 0),
                "since its last snapshot",
                1,
            ),
            (
                0,
                survey(Some(true), Some("always"), 2),
                "unless `replicas` is set",
                0,
            ),
            (
                1,
                survey(Some(true), Some("always"), 2),
                "if it is to one of those",
                0,
            ),
            (1, survey(Some(false), None, 1), "a failover loses none", 1),
            (
                2,
                survey(Some(true), None, 5),
                "2 replicas have each update",
                0,
            ),
            (
                2,
                survey(Some(true), None, 1),
                "2 replicas have each update",
                1,
            ),
        ] {
            let settings = settings(configured);
            let said = lines(&settings, &found, 1).join("\n");
            assert!(said.contains(expected), "{expected}: {said}");
            assert!(said.contains("Redis 7.0.15, primary cache:6379"), "{said}");
            agrees(survives(&settings, &found), &said);
            let warnings = warnings(&settings, &found);
            assert_eq!(warnings.len(), warned, "{warnings:?}");
        }
        let mut unread = survey(Some(true), Some("always"), 0);
        unread.eviction = None;
        assert_eq!(warnings(&settings(0), &unread).len(), 1);
    }

    /// The report names the settings that were found, and leaves out those that could not be read.
    #[test]
    fn the_settings_that_were_found_are_reported() {
        let mut found = survey(Some(true), Some("everysec"), 2);
        found.min_replicas_to_write = Some(0);
        found.min_replicas_max_lag = Some(10);
        let said = |found: &Survey| lines(&settings(1), found, 3).pop().unwrap();
        assert_eq!(
            said(&found),
            "settings of the server: `appendonly yes`, `appendfsync everysec`, `maxmemory-policy noeviction`"
        );
        found.min_replicas_to_write = Some(1);
        assert!(
            said(&found).ends_with(", `min-replicas-to-write 1`, `min-replicas-max-lag 10`"),
            "{}",
            said(&found)
        );
        let nothing = lines(&settings(0), &Survey::default(), 1);
        assert_eq!(nothing.len(), 2, "{nothing:?}");
    }
}
