//! The thread that reads the disk for retention, so that a slow read does not delay a publish.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::search::{Answer, Question, Search};

/// The thread that reads the disk. It ends when this is dropped.
pub(super) struct Scout {
    questions: Option<SyncSender<Question>>,
    answers: Receiver<io::Result<Answer>>,
    is_looking: bool,
    thread: Option<JoinHandle<()>>,
}

impl Scout {
    pub(super) fn start() -> io::Result<Self> {
        let (questions, asked) = sync_channel::<Question>(1);
        let (answer, answers) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("talaria-retain".to_owned())
            .spawn(move || {
                while let Ok(question) = asked.recv() {
                    let look = || Search::new(&question).run();
                    // The panic hook has reported the panic.
                    let found = catch_unwind(AssertUnwindSafe(look));
                    let found = found.map_err(|_| {
                        io::Error::other("the search for expired updates has panicked")
                    });
                    if answer.send(found).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            questions: Some(questions),
            answers,
            is_looking: false,
            thread: Some(thread),
        })
    }

    /// Whether a question has not been answered yet.
    pub(super) fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// The answer to an earlier question, if it has come now.
    pub(super) fn late_answer(&mut self) -> Option<io::Result<Answer>> {
        if !self.is_looking {
            return None;
        }
        let answer = self.answers.try_recv().ok()?;
        self.is_looking = false;
        Some(answer)
    }

    /// Asks a question, unless another one is still unanswered. Waits for the answer at most for
    /// `patience`, or without a limit if that is `None`.
    pub(super) fn ask(
        &mut self,
        question: Question,
        patience: Option<Duration>,
    ) -> Option<io::Result<Answer>> {
        if self.is_looking {
            return None;
        }
        let gone = || {
            Some(Err(io::Error::other(
                "the thread that searches for expired updates has ended",
            )))
        };
        let sent = self.questions.as_ref().map(|asked| asked.send(question));
        if !matches!(sent, Some(Ok(()))) {
            return gone();
        }
        let answer = match patience {
            Some(patience) => self.answers.recv_timeout(patience),
            None => self
                .answers
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        match answer {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => {
                self.is_looking = true;
                None
            }
            Err(RecvTimeoutError::Disconnected) => gone(),
        }
    }
}

impl Drop for Scout {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread.
            _ = thread.join();
        }
    }
}
