//! What becomes of a request: for each hub, and in all.

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::serve::admin::answer;
use crate::serve::changes::{Change, Unstored};
use crate::serve::control::ServedHub;

/// What has become of a request.
#[derive(Default)]
pub(super) struct Outcome {
    /// One for each hub.
    pub(super) hubs: Vec<Value>,
    /// What must be stored, and the places of the hubs in `hubs` that it concerns.
    pub(super) unstored: Vec<Unstored>,
    places: Vec<Vec<usize>>,
    /// The first error. Other hubs are tried all the same.
    failure: Option<(StatusCode, String)>,
}

impl Outcome {
    /// Notes what must be stored for the hub that comes next; hubs that share a file need one change.
    pub(super) fn must_store(&mut self, served: &ServedHub, change: Change) {
        let place = self.hubs.len();
        let mut known = self.unstored.iter().zip(&mut self.places);
        let is_same = |unstored: &Unstored| {
            unstored.file.is(&served.revoked) && matches!(unstored.change, Change::Enter(_))
        };
        if let Some((_, places)) = known.find(|(unstored, _)| is_same(unstored)) {
            places.push(place);
            return;
        }
        self.unstored.push(Unstored {
            hub: served.name.clone(),
            file: served.revoked.clone(),
            change,
        });
        self.places.push(vec![place]);
    }

    /// Notes an error of a hub.
    pub(super) fn fail(&mut self, status: StatusCode, hub: &str, sentence: &str) {
        self.failure
            .get_or_insert_with(|| (status, format!("hub {hub}: {sentence}")));
    }

    /// Notes what could not be stored.
    pub(super) fn note(&mut self, stored: Vec<Result<(), String>>, removes: bool) {
        let what = match removes {
            true => "the tokens are accepted again",
            false => "the tokens are revoked and their streams have ended",
        };
        let mut stored = stored.into_iter();
        for places in std::mem::take(&mut self.places) {
            // The task is missing only if it broke off.
            let stored = stored
                .next()
                .unwrap_or_else(|| Err("it broke off".to_owned()));
            let Err(error) = stored else {
                continue;
            };
            let sentence = format!(
                "{what}, but only until the hub is restarted, because that cannot be stored: {error}"
            );
            for place in places {
                let Some(Value::Object(members)) = self.hubs.get_mut(place) else {
                    continue;
                };
                members.insert("error".to_owned(), sentence.as_str().into());
                let hub = members.get("name").and_then(Value::as_str);
                let hub = hub.unwrap_or_default().to_owned();
                self.fail(StatusCode::INTERNAL_SERVER_ERROR, &hub, &sentence);
            }
        }
    }

    /// The answer, whose hubs each have a number of this name: also beside an error, because other hubs may have done
    /// what is asked.
    pub(super) fn answer(self, name: &str) -> Response<Body> {
        let each = self.hubs.iter().filter_map(|one| one.get(name)?.as_u64());
        let sum: u64 = each.sum();
        let mut value = json!({ name: sum, "hubs": self.hubs });
        let mut status = StatusCode::OK;
        if let Some((failed, sentence)) = self.failure {
            status = failed;
            if let Value::Object(members) = &mut value {
                members.insert("error".to_owned(), sentence.into());
            }
        }
        answer::json(status, &value)
    }
}
