//! The screen: one pane at a time where there is little room, all of them where there is enough.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::pane::{Pane, widths};

/// From this size on all panes are shown at once.
const WIDE: (u16, u16) = (160, 44);

/// What the keys have changed.
#[derive(Debug, Default, Clone)]
pub(super) struct Position {
    /// The pane that the keys are for.
    pub pane: usize,
    /// The first row of it that is shown.
    pub row: usize,
    /// Whether no node is asked.
    pub is_paused: bool,
}

/// Draws the panes.
pub(super) fn draw(frame: &mut Frame<'_>, panes: &[Pane], position: &Position, title: &str) {
    let [head, tabs, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Line::from(title.to_owned()).bold(), head);
    let keys = match position.is_paused {
        true => "q quit  Tab, arrows: pane and row  p go on  PAUSED",
        false => "q quit  Tab, arrows: pane and row  p pause",
    };
    frame.render_widget(Line::from(keys).dim(), foot);
    let area = frame.area();
    if area.width >= WIDE.0 && area.height >= WIDE.1 {
        frame.render_widget(Line::from("all panes").dim(), tabs);
        draw_all(frame, body, panes, position);
        return;
    }
    frame.render_widget(tab_line(panes, position), tabs);
    if let Some(pane) = panes.get(position.pane) {
        draw_pane(frame, body, pane, position.row, true);
    }
}

fn tab_line<'p>(panes: &[Pane], position: &Position) -> Line<'p> {
    let tab = |(place, pane): (usize, &Pane)| {
        let style = match place == position.pane {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        [Span::styled(pane.title, style), Span::raw("  ")]
    };
    panes
        .iter()
        .enumerate()
        .flat_map(tab)
        .collect::<Vec<_>>()
        .into()
}

/// Two columns. The short panes have the room that they need.
fn draw_all(frame: &mut Frame<'_>, body: Rect, panes: &[Pane], position: &Position) {
    let columns: [Rect; 2] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(body);
    let half = panes.len().div_ceil(2);
    let places: Vec<usize> = (0..panes.len()).collect();
    for (column, places) in columns.into_iter().zip(places.chunks(half.max(1))) {
        let needed = places
            .iter()
            .filter_map(|place| panes.get(*place))
            .map(|pane| {
                let rows = u16::try_from(pane.rows.len().max(1)).unwrap_or(u16::MAX);
                Constraint::Max(rows.saturating_add(3))
            });
        let areas = Layout::vertical(needed).split(column);
        for (place, area) in places.iter().zip(areas.iter()) {
            let is_chosen = *place == position.pane;
            let row = if is_chosen { position.row } else { 0 };
            if let Some(pane) = panes.get(*place) {
                draw_pane(frame, *area, pane, row, is_chosen);
            }
        }
    }
}

fn draw_pane(frame: &mut Frame<'_>, area: Rect, pane: &Pane, first: usize, is_chosen: bool) {
    let title = match is_chosen {
        true => Span::from(pane.title).bold(),
        false => Span::from(pane.title),
    };
    let block = Block::bordered().title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if pane.rows.is_empty() {
        frame.render_widget(Line::from(pane.empty), inner);
        return;
    }
    let widths = widths(pane);
    let head: Vec<String> = pane.head.iter().map(|head| (*head).to_owned()).collect();
    let mut lines = vec![Line::from(line(&head, &widths)).underlined()];
    let rows = pane.rows.iter().skip(first);
    lines.extend(
        rows.take(usize::from(inner.height))
            .map(|row| Line::from(line(row, &widths))),
    );
    frame.render_widget(Paragraph::new(lines), inner);
}

/// A row with its cells below each other's; one that begins with an empty text is a note.
fn line(row: &[String], widths: &[usize]) -> String {
    if row.first().is_some_and(String::is_empty) {
        return row.concat();
    }
    let cells = row.iter().zip(widths);
    let cells: Vec<String> = cells
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    cells.join(" ")
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn panes() -> Vec<Pane> {
        let pane = |title, rows: usize| Pane {
            title,
            head: vec!["one", "two"],
            rows: (0..rows)
                .map(|row| vec![format!("{title}{row}"), "x".repeat(90)])
                .collect(),
            empty: "none",
        };
        vec![pane("First", 3), pane("Second", 60), pane("Third", 0)]
    }

    fn shown(width: u16, height: u16, position: &Position) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| draw(frame, &panes(), position, "title"))
            .unwrap();
        terminal.backend().to_string()
    }

    /// A small screen shows the chosen pane from the chosen row on, a large one all of them.
    #[test]
    fn panes_are_shown_where_there_is_room() {
        let small = shown(
            80,
            24,
            &Position {
                pane: 1,
                row: 5,
                is_paused: true,
            },
        );
        assert!(
            small.contains("Second5 ") && !small.contains("Second4 "),
            "{small}"
        );
        assert!(
            !small.contains("First0") && small.contains("PAUSED"),
            "{small}"
        );
        let large = shown(200, 50, &Position::default());
        for part in ["First0", "Second0", "Third", "none"] {
            assert!(large.contains(part), "{part} in\n{large}");
        }
    }

    /// No size of a terminal is too small.
    #[test]
    fn every_size_is_drawn() {
        for (width, height) in [(1, 1), (2, 1), (1, 5), (3, 3), (20, 4), (160, 44), (500, 2)] {
            for pane in 0..4 {
                let position = Position {
                    pane,
                    row: 1_000,
                    is_paused: false,
                };
                _ = shown(width, height, &position);
            }
        }
    }
}
