//! The terminal: taken over for a while, and given back however the verb ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use talaria_config::Error;
use tokio::sync::mpsc;

/// How often the thread looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// How many times it is asked whether it has ended.
const LOOKS_AT_THE_END: usize = 3;
/// Events that may wait; more keys than that are not typed.
const WAITING: usize = 64;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// To end.
    Quit,
    /// To ask no node, or to go on.
    Pause,
    /// Another pane: the next or the one before.
    Pane(isize),
    /// Other rows: this many further down.
    Rows(isize),
    /// To draw again, because the size has changed.
    Draw,
}

/// The terminal in raw mode, on its other screen.
pub(super) struct Screen {
    /// Where to draw.
    pub terminal: DefaultTerminal,
    /// The keys that are pressed; ends if the terminal is gone.
    pub keys: mpsc::Receiver<Key>,
    ends: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal over. A panic gives it back before its message.
    ///
    /// # Errors
    /// It is not one that can be drawn on.
    pub(super) fn take_over() -> Result<Self, Error> {
        let not_drawn = |error| {
            Error::new("the terminal cannot be drawn on")
                .caused_by(error)
                .remedy("`talaria top --once` prints plain text")
        };
        let terminal = ratatui::try_init().map_err(not_drawn)?;
        let ends = Arc::new(AtomicBool::new(false));
        let (pressed, keys) = mpsc::channel(WAITING);
        let mut screen = Self {
            terminal,
            keys,
            ends: Arc::clone(&ends),
            reader: None,
        };
        let read = move || read(&pressed, &ends);
        let reader = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(read);
        screen.reader = Some(reader.map_err(not_drawn)?);
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.keys.close();
        ratatui::restore();
        let Some(reader) = self.reader.take() else {
            return;
        };
        // A terminal that hung up may keep the thread in a read for ever. It ends with the process then.
        for _ in 0..LOOKS_AT_THE_END {
            if reader.is_finished() {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn read(pressed: &mpsc::Sender<Key>, ends: &AtomicBool) {
    while !ends.load(Ordering::Relaxed) {
        match event::poll(LOOK).and_then(|is_there| is_there.then(event::read).transpose()) {
            Ok(None) => {}
            Ok(Some(event)) => {
                if let Some(key) = key_of(&event)
                    && pressed.blocking_send(key).is_err()
                {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

fn key_of(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return matches!(event, Event::Resize(..)).then_some(Key::Draw);
    };
    let with_control = modifiers.contains(KeyModifiers::CONTROL);
    Some(match code {
        KeyCode::Char('c') if with_control => Key::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Char('p') => Key::Pause,
        KeyCode::Tab | KeyCode::Right => Key::Pane(1),
        KeyCode::BackTab | KeyCode::Left => Key::Pane(-1),
        KeyCode::Down => Key::Rows(1),
        KeyCode::Up => Key::Rows(-1),
        KeyCode::PageDown => Key::Rows(10),
        KeyCode::PageUp => Key::Rows(-10),
        _ => return None,
    })
}
