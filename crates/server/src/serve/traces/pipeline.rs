//! The tracer in force, and the task that exports its spans.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::TraceSettings;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::encode;
use super::exporting::{Exporting, State};
use super::tracer::Tracer;

/// The tracer of the configuration in force.
#[derive(Default)]
pub(crate) struct Traces {
    current: Option<Pipeline>,
    /// Tasks of earlier configurations end when the last request of theirs has.
    tasks: JoinSet<()>,
    hurry: CancellationToken,
    last: CancellationToken,
}

/// A tracer, and what it was made of.
struct Pipeline {
    settings: TraceSettings,
    tracer: Arc<Tracer>,
}

/// The tracer of another configuration.
pub(crate) struct Prepared {
    pipeline: Option<Pipeline>,
    /// What exports its spans, if that is new.
    exporting: Option<Exporting>,
}

impl Prepared {
    /// The tracer, if there is one.
    pub(crate) fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.pipeline.as_ref().map(|pipeline| &pipeline.tracer)
    }
}

impl Traces {
    /// Makes the tracer of a configuration; the one in force stays if the settings do.
    ///
    /// # Errors
    /// A certificate or a key for the collector cannot be read.
    pub(crate) fn prepare(&self, settings: Option<&TraceSettings>) -> Result<Prepared, Error> {
        let current = self.current.as_ref();
        let current = current.filter(|current| Some(&current.settings) == settings);
        if let Some(Pipeline { settings, tracer }) = current {
            return Ok(Prepared {
                pipeline: Some(Pipeline {
                    settings: settings.clone(),
                    tracer: Arc::clone(tracer),
                }),
                exporting: None,
            });
        }
        let Some(settings) = settings else {
            return Ok(Prepared {
                pipeline: None,
                exporting: None,
            });
        };
        let dropped = Arc::new(AtomicU64::new(0));
        let (sender, queue) = mpsc::channel(settings.batch.queue);
        let exporting = match &settings.exporter {
            None => None,
            Some(exporter) => Some(Exporting {
                client: Client::new(exporter)?,
                resource: encode::resource(&settings.resource),
                batch: settings.batch,
                queue,
                dropped: Arc::clone(&dropped),
                hurry: self.hurry.clone(),
                last: self.last.clone(),
                state: State::default(),
            }),
        };
        let sender = exporting.is_some().then_some(sender);
        let propagators = settings.propagators.clone();
        let tracer = Tracer::new(settings.sampler, propagators, sender, dropped);
        Ok(Prepared {
            pipeline: Some(Pipeline {
                settings: settings.clone(),
                tracer: Arc::new(tracer),
            }),
            exporting,
        })
    }

    /// Puts it in force.
    pub(crate) fn install(&mut self, prepared: Prepared) {
        while self.tasks.try_join_next().is_some() {}
        self.current = prepared.pipeline;
        if let Some(exporting) = prepared.exporting {
            self.tasks.spawn(exporting.run());
        }
    }

    /// The program begins to stop: what waits is exported without delay.
    pub(crate) fn hurry(&self) {
        self.hurry.cancel();
    }

    /// No more spans come: exports what is left, within this time.
    pub(crate) async fn finish(mut self, at_most: Duration) {
        self.hurry.cancel();
        self.last.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(at_most, ended).await.is_err() {
            tracing::warn!(name: "spans_lost", "the collector did not take the last spans in time; they are lost");
        }
    }
}
