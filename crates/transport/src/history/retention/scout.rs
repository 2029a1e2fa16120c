//! A thread that looks at the disk for retention, so that a slow read delays no publish.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::search::{Answer, Question, Search};

/// The thread; it ends when this is dropped.
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
                    // A panic has been reported by its hook.
                    let found = catch_unwind(AssertUnwindSafe(look));
                    let found = found.map_err(|_| io::Error::other("a look failed"));
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

    /// Whether a question has no answer yet.
    pub(super) fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// The answer to a question that was not waited for, if it has come.
    pub(super) fn late_answer(&mut self) -> Option<io::Result<Answer>> {
        if !self.is_looking {
            return None;
        }
        let answer = self.answers.try_recv().ok()?;
        self.is_looking = false;
        Some(answer)
    }

    /// Asks, unless another question is still being looked into, and waits for the answer no longer
    /// than `patience`; `None` for as long as it takes.
    pub(super) fn ask(
        &mut self,
        question: Question,
        patience: Option<Duration>,
    ) -> Option<io::Result<Answer>> {
        if self.is_looking {
            return None;
        }
        let gone = || Some(Err(io::Error::other("the thread that looks is gone")));
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
            // A panic there has been reported by its hook; there is nothing to add.
            _ = thread.join();
        }
    }
}
