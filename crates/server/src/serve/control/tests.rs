use std::collections::HashMap;

use talaria_config::{Sources, adapt};
use tokio::task::yield_now;

use super::*;

/// Reads texts without variables.
struct Texts;

fn read(file: File) -> Result<Configuration, Error> {
    let variables = HashMap::new();
    let sources = Sources {
        file: Some(file),
        variables: &variables,
        address: None,
    };
    let loaded = talaria_config::load(&sources)?;
    let source = Source {
        adapted: adapt::adapt(&sources).ok(),
        variables: 0,
        imported: Vec::new(),
    };
    Ok(Configuration { loaded, source })
}

impl Reader for Texts {
    fn again(&self) -> Result<Configuration, Error> {
        read(text("again", ""))
    }

    fn imports(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn read(&self, file: File) -> Result<Configuration, Error> {
        read(file)
    }

    fn adapt(&self, _: File) -> Result<Adapted, Error> {
        Err(Error::new("not asked for"))
    }
}

fn text(answer: &str, global: &str) -> File {
    let hub = "mercure {\npublisher_jwt \"the key of the publishers, of 32 bytes or more\"\nanonymous\ntransport memory\n}";
    File {
        name: "Caddyfile".to_owned(),
        text: format!(
            "{{\n{global}\n}}\nhttp://127.0.0.1:0 {{\nrespond /version {answer}\n{hub}\n}}\n"
        ),
    }
}

struct Bed {
    _folder: tempfile::TempDir,
    autosave: PathBuf,
    control: Control,
    asked: mpsc::Receiver<Command>,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let autosave = folder.path().join("kept.json");
        let (control, asked) = Control::new(Some(Origin {
            reader: Arc::new(Texts),
            source: read(text("a", "")).unwrap().source,
            autosave: Some(autosave.clone()),
            watched: None,
            pidfile: None,
        }));
        Self {
            _folder: folder,
            autosave,
            control,
            asked,
        }
    }

    /// Answers the next reload.
    async fn installs(&mut self) {
        match self.asked.recv().await {
            Some(Command::Reload { done, .. }) => done.send(Ok(())).unwrap(),
            _ => panic!("no reload"),
        }
    }

    async fn loads(&mut self, file: File) -> Reloaded {
        let control = self.control.clone();
        let loading = tokio::spawn(async move { control.load(file, false).await });
        self.installs().await;
        loading.await.unwrap().unwrap()
    }

    fn kept(&self) -> Option<String> {
        autosave::read(&self.autosave)
            .unwrap()
            .map(|file| file.text)
    }
}

/// A client that hangs up does not keep its configuration from being known: what is in force, and what is kept.
#[tokio::test]
async fn a_reload_is_recorded_without_its_client() {
    let mut bed = Bed::new();
    let control = bed.control.clone();
    let client = tokio::spawn(async move { control.load(text("b", ""), false).await });
    let Some(Command::Reload { done, .. }) = bed.asked.recv().await else {
        panic!("no reload");
    };
    client.abort();
    assert!(client.await.is_err());
    done.send(Ok(())).unwrap();
    // Back to the first one: it waits for its turn, and is not what is in force.
    assert_eq!(bed.loads(text("a", "")).await, Reloaded::InForce);
    assert_eq!(bed.kept(), Some(text("a", "").text));
    let unchanged = bed.control.load(text("a", ""), false).await;
    assert_eq!(unchanged.unwrap(), Reloaded::Unchanged);
}

/// The text that was loaded last is kept, until the file is read again or the configuration forbids it.
#[tokio::test]
async fn no_older_configuration_is_kept() {
    let mut bed = Bed::new();
    bed.loads(text("b", "")).await;
    assert_eq!(bed.kept(), Some(text("b", "").text));
    let control = bed.control.clone();
    let again = tokio::spawn(async move { control.load_again(true).await });
    bed.installs().await;
    assert_eq!(again.await.unwrap().unwrap(), Reloaded::InForce);
    assert_eq!(bed.kept(), None);
    bed.loads(text("b", "")).await;
    assert!(bed.kept().is_some());
    bed.loads(text("c", "persist_config off")).await;
    assert_eq!(bed.kept(), None);
}

/// A reload that waits when the program stops is refused.
#[tokio::test]
async fn a_stop_ends_reloads() {
    let bed = Bed::new();
    let control = bed.control.clone();
    let loading = tokio::spawn(async move { control.load(text("b", ""), false).await });
    while bed.asked.is_empty() {
        yield_now().await;
    }
    bed.control.begin_stop();
    let error = loading.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("stopping"), "{error}");
    assert!(!bed.control.last_reload().succeeded);
}
