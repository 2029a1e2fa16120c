//! Publishers: clients of one process that publish, and note what they are told.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::{AppendError, Appended, RepeatKey, Transport};
use tokio::time::{sleep, timeout};

use super::law::Law;
use super::plan::PUBLISH_TIMEOUT;
use super::site::{Log, Site};
use crate::random::Random;

/// How much longer than its timeout a publish may take: the engine looks at deadlines now and then.
const SLACK: Duration = Duration::from_secs(1);
/// Within this time a repeated publish is stored once.
const WINDOW: Duration = Duration::from_secs(3_600);

fn update(text: &str, has_id: bool) -> Update {
    Update {
        topics: vec!["https://example.com/books/1".to_owned()],
        data: text.to_owned(),
        id: has_id.then(|| text.to_owned()),
        ..Update::default()
    }
}

fn key_of(text: &str) -> RepeatKey {
    let mut key = [0; 32];
    for (place, byte) in key.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    key
}

/// Publishes until there is calm.
pub async fn publish(site: Arc<Site>, log: Arc<Log>, name: String, mut random: Random) {
    let pause = *random.pick(&[500, 2_000, 5_000]);
    for number in 0.. {
        sleep(random.time(pause)).await;
        if site.is_calm() {
            return;
        }
        let text = format!("{name}-{number}");
        match random.below(8) {
            0 => together(&site, &log, &text, &mut random).await,
            1 | 2 => once(&site, &log, &text, &mut random).await,
            _ => {
                let attempt = site.facts.attempt(&text, false);
                let has_id = random.one_of(4);
                let answer = timely(&site, log.append(update(&text, has_id))).await;
                site.facts.answered(&text, attempt, answer);
            }
        }
    }
}

async fn timely<T>(
    site: &Site,
    answer: impl Future<Output = Result<T, AppendError>>,
) -> Result<T, AppendError> {
    match timeout(PUBLISH_TIMEOUT + SLACK, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            site.say(format_args!("a publish was not answered"));
            site.facts.violated(Law::Answered, "a publish".to_owned());
            Err(AppendError::Unknown)
        }
    }
}

/// Publishes several updates, all or none of which are stored.
async fn together(site: &Site, log: &Log, text: &str, random: &mut Random) {
    let texts: Vec<String> = (0..2 + random.below(3))
        .map(|part| format!("{text}/{part}"))
        .collect();
    let attempts = texts.iter().map(|text| site.facts.attempt(text, false));
    let attempts: Vec<usize> = attempts.collect();
    let updates = texts.iter().map(|text| update(text, false)).collect();
    let answer = timely(site, log.append_all(updates)).await;
    for (index, (text, attempt)) in texts.iter().zip(attempts).enumerate() {
        let own = answer.clone().map(|all: Vec<Appended>| all[index].clone());
        site.facts.answered(text, attempt, own);
    }
}

/// Publishes an update with a key, perhaps one that was published before.
async fn once(site: &Site, log: &Log, text: &str, random: &mut Random) {
    let repeated = {
        let mut repeats = site.repeats.lock().unwrap();
        let count = repeats.len() as u64;
        let repeats = &mut *repeats;
        (count > 0 && random.one_of(2)).then(|| repeats.swap_remove(random.below(count) as usize))
    };
    let text = repeated.unwrap_or_else(|| text.to_owned());
    let attempt = site.facts.attempt(&text, true);
    // Its node may die before it is answered.
    site.repeats.lock().unwrap().push(text.clone());
    let updates = vec![(update(&text, true), Some(key_of(&text)))];
    let Some(answer) = log.append_once(updates, WINDOW) else {
        site.facts
            .violated(Law::GoesOn, "the log remembers no keys".to_owned());
        return;
    };
    let answer = timely(site, answer).await;
    let own = answer.map(|mut all| all.remove(0));
    site.facts.answered(&text, attempt, own);
}
