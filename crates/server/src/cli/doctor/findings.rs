//! What an examination has found.

use std::process::ExitCode;

use serde_json::{Value, json};
use talaria_config::guide::Page;
use url::Url;

use crate::cli::output;

/// How a finding is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Note,
    Fault,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fault => "fault",
        }
    }
}

/// What was found. Each finding is printed at once, unless all of them become one JSON object.
#[derive(Debug)]
pub(super) struct Findings {
    faults: usize,
    /// The findings for the JSON object; `None` if each is printed.
    kept: Option<Vec<Value>>,
}

impl Findings {
    /// No findings yet; `is_json` keeps them for one JSON object.
    pub(super) fn new(is_json: bool) -> Self {
        Self {
            faults: 0,
            kept: is_json.then(Vec::new),
        }
    }

    /// Findings of a subject from what `asked` describes.
    pub(super) fn on(&mut self, subject: &'static str, asked: impl Into<String>) -> Subject<'_> {
        Subject {
            findings: self,
            subject,
            asked: asked.into(),
        }
    }

    fn add(
        &mut self,
        verdict: Verdict,
        subject: &str,
        asked: &str,
        found: &str,
        advice: Option<(&str, Page)>,
    ) {
        self.faults += usize::from(verdict == Verdict::Fault);
        if let Some(kept) = &mut self.kept {
            kept.push(json!({
                "subject": subject,
                "verdict": verdict.name(),
                "asked": asked,
                "found": found,
                "remedy": advice.map(|(remedy, _)| remedy),
                "docs": advice.map(|(_, page)| page.to_string()),
            }));
            return;
        }
        let mark = match verdict {
            Verdict::Fault => "FAULT",
            verdict => verdict.name(),
        };
        let found = found.replace('\n', "\n        ");
        let mut text = format!("{mark:<8}{subject}: {found}");
        if let Some((remedy, page)) = advice {
            text.push_str(&format!(
                "\n        asked: {asked}\n        {remedy}\n        see {page}"
            ));
        }
        tell(&text);
    }

    /// Says how many faults there are; that is the exit code, too.
    pub(super) fn conclude(self, url: &Url) -> ExitCode {
        match (self.kept, self.faults) {
            (Some(findings), faults) => {
                let all = json!({ "url": url.as_str(), "faults": faults, "findings": findings });
                tell(&format!("{all:#}"));
            }
            (None, 0) => tell("nothing is wrong"),
            (None, faults) => tell(&format!("faults: {faults}")),
        }
        match self.faults {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// A subject of the examination, and what was asked about it.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    findings: &'a mut Findings,
    subject: &'static str,
    asked: String,
}

impl Subject<'_> {
    /// Reports that something is as it should be.
    pub(super) fn good(&mut self, found: &str) {
        let Self { subject, asked, .. } = self;
        self.findings.add(Verdict::Ok, subject, asked, found, None);
    }

    /// Reports something that is not a fault, and what to know or to do about it.
    pub(super) fn note(&mut self, found: &str, remedy: &str, page: Page) {
        let Self { subject, asked, .. } = self;
        let advice = Some((remedy, page));
        self.findings
            .add(Verdict::Note, subject, asked, found, advice);
    }

    /// Reports a fault, and what to do about it.
    pub(super) fn fault(&mut self, found: &str, remedy: &str, page: Page) {
        let Self { subject, asked, .. } = self;
        let advice = Some((remedy, page));
        self.findings
            .add(Verdict::Fault, subject, asked, found, advice);
    }
}

/// Prints a line. Without a reader there is nothing more to examine: `doctor … | head -1`.
fn tell(line: &str) {
    if let Err(error) = output::write_out(&format!("{line}\n")) {
        output::failure(output::not_written(error));
        std::process::exit(1);
    }
}
