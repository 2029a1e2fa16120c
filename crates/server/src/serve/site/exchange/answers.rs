//! Answers by files, and by whether a user is let in.

use axum::body::Body;
use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};
use talaria_config::settings::Template;

use super::Exchange;
use crate::serve::handlers::files::FileServer;
use crate::serve::handlers::users::{Denied, Users};
use crate::serve::site::fields::Filled;
use crate::serve::site::target::{one_slash_each, with};

impl Exchange {
    /// Answers with a file.
    pub(super) async fn file(&mut self, files: &FileServer) -> Option<Response<Body>> {
        let answer = files.serve(&self.parts).await;
        self.is_file = answer.is_some();
        self.has_missed |= answer.is_none();
        answer
    }

    /// Makes the first target that is a file the one of the request.
    pub(super) async fn try_files(
        &mut self,
        files: &FileServer,
        targets: &[Template],
        otherwise: Option<u16>,
    ) -> Option<Response<Body>> {
        for target in targets {
            let target = one_slash_each(&self.view().fill_target(target));
            let path = target.split('?').next().unwrap_or_default();
            if files.has(path).await
                && let Some(uri) = with(&self.parts.uri, &target)
            {
                self.parts.uri = uri;
                return None;
            }
        }
        let status = StatusCode::from_u16(otherwise?).unwrap_or(StatusCode::NOT_FOUND);
        Some(self.fail(status, ""))
    }

    /// Lets a user go on whose password is right.
    pub(super) async fn let_in(&mut self, users: &Users) -> Option<Response<Body>> {
        match users.check(&self.parts.headers).await {
            Ok(user) => {
                self.log.user(&user);
                self.notes.user = Some(user);
                None
            }
            Err(Denied::Unknown(challenge)) => {
                self.changes
                    .push((WWW_AUTHENTICATE, Filled::Override(challenge)));
                Some(self.fail(
                    StatusCode::UNAUTHORIZED,
                    "Authorization: send a user and a password",
                ))
            }
            Err(Denied::Busy) => {
                let sentence = "too many passwords are being checked; try again later";
                Some(self.fail(StatusCode::SERVICE_UNAVAILABLE, sentence))
            }
        }
    }
}
