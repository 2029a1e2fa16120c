//! The variables of OpenTelemetry, which count where a site has the directive `tracing` (B-117).
//!
//! Names and meanings are those of the [specification]. It asks programs to go on with the default where a value
//! cannot be read; then spans would go missing without a word, so here the start is refused.
//!
//! [specification]: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

mod exporter;
mod variable;

use std::time::Duration;

use self::variable::Reader;
use crate::error::Error;
use crate::settings::{
    BatchSettings, Notice, Propagator, SamplerSettings, TraceProtocol, TraceSettings,
};
use crate::source::Environment;

/// The samplers by name: whether it follows the caller, and the share of other traces; `None` if an argument says it.
const SAMPLERS: &[(&str, (bool, Option<f64>))] = &[
    ("always_on", (false, Some(1.0))),
    ("always_off", (false, Some(0.0))),
    ("traceidratio", (false, None)),
    ("parentbased_always_on", (true, Some(1.0))),
    ("parentbased_always_off", (true, Some(0.0))),
    ("parentbased_traceidratio", (true, None)),
];
const PROPAGATORS: &[(&str, Option<Propagator>)] = &[
    ("tracecontext", Some(Propagator::TraceContext)),
    ("baggage", Some(Propagator::Baggage)),
    ("b3", Some(Propagator::B3)),
    ("b3multi", Some(Propagator::B3Multi)),
    ("none", None),
];
/// The most spans that may wait.
const MOST_QUEUED: u64 = 65_536;
/// The most attributes of the resource.
const MOST_ATTRIBUTES: usize = 64;

/// What the variables say; `None` if they switch tracing off.
///
/// # Errors
/// All values that cannot be read.
pub(crate) fn read(environment: Environment<'_>) -> Result<Option<TraceSettings>, Error> {
    let mut reader = Reader::new(environment);
    let disabled = reader.one_of(&["OTEL_SDK_DISABLED"], &[("false", false), ("true", true)]);
    let settings = TraceSettings {
        exporter: exporter::read(&mut reader),
        sampler: sampler(&mut reader),
        propagators: propagators(&mut reader),
        resource: resource(&mut reader),
        batch: batch(&mut reader),
    };
    reader.finish()?;
    Ok(match disabled {
        Some(true) => None,
        _ => Some(settings),
    })
}

/// What to tell about settings that are probably meant otherwise.
pub(crate) fn notice(settings: &TraceSettings) -> Option<Notice> {
    let exporter = settings.exporter.as_ref()?;
    let is_of_grpc = exporter.endpoint.split('/').nth(2)?.ends_with(":4317");
    let is_http = exporter.protocol == TraceProtocol::HttpProtobuf;
    (is_of_grpc && is_http).then(|| {
        Notice::warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT names port 4317, where collectors speak gRPC, but spans are sent over HTTP; set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or name port 4318",
        )
    })
}

fn sampler(reader: &mut Reader<'_>) -> SamplerSettings {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let chosen = reader.one_of(&["OTEL_TRACES_SAMPLER"], SAMPLERS);
    let (follows_parent, ratio) = chosen.unwrap_or((true, Some(1.0)));
    let ratio = match ratio {
        Some(ratio) => {
            // Read in any case, so that it counts as known.
            _ = reader.text(&[ARGUMENT]);
            ratio
        }
        None => {
            let share = |text: &str| {
                let share = text.parse::<f64>().ok();
                share.filter(|share| (0.0..=1.0).contains(share))
            };
            let share = reader.parsed(&[ARGUMENT], share, "a share", "write a number from 0 to 1");
            share.unwrap_or(1.0)
        }
    };
    SamplerSettings {
        follows_parent,
        ratio,
    }
}

fn propagators(reader: &mut Reader<'_>) -> Vec<Propagator> {
    let names = reader.items("OTEL_PROPAGATORS", PROPAGATORS);
    let names =
        names.unwrap_or_else(|| vec![Some(Propagator::TraceContext), Some(Propagator::Baggage)]);
    let mut propagators: Vec<Propagator> = Vec::new();
    for propagator in names.into_iter().flatten() {
        if !propagators.contains(&propagator) {
            propagators.push(propagator);
        }
    }
    propagators
}

fn resource(reader: &mut Reader<'_>) -> Vec<(String, String)> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut pairs = reader.pairs(&[NAME]).unwrap_or_default();
    if pairs.len() > MOST_ATTRIBUTES {
        let count = pairs.len();
        reader.refuse(
            NAME,
            format!("{count} attributes are too many"),
            format!("name at most {MOST_ATTRIBUTES}"),
        );
    }
    let service = "service.name";
    if let Some((_, name)) = reader.text(&["OTEL_SERVICE_NAME"]) {
        pairs.retain(|(key, _)| key != service);
        pairs.push((service.to_owned(), name));
    }
    if pairs.iter().all(|(key, _)| key != service) {
        pairs.push((service.to_owned(), "talaria".to_owned()));
    }
    pairs
}

fn batch(reader: &mut Reader<'_>) -> BatchSettings {
    const SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
    let queue = reader.number(&["OTEL_BSP_MAX_QUEUE_SIZE"], 1..=MOST_QUEUED);
    let queue = queue.unwrap_or(2048);
    let size = reader.number(&[SIZE], 1..=MOST_QUEUED);
    if let Some(size) = size.filter(|size| *size > queue) {
        reader.refuse(
            SIZE,
            format!("{size} is more than the {queue} that may wait"),
            "write at most what OTEL_BSP_MAX_QUEUE_SIZE says, which is 2048 where it is not set"
                .to_owned(),
        );
    }
    let delay = reader.milliseconds(&["OTEL_BSP_SCHEDULE_DELAY"]);
    let timeout = reader.milliseconds(&["OTEL_BSP_EXPORT_TIMEOUT"]);
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    BatchSettings {
        queue: whole(queue),
        size: whole(size.unwrap_or(512).min(queue)),
        delay: delay.unwrap_or(Duration::from_secs(5)),
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
    }
}
