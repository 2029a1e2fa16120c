//! A pane: a table of texts, and how it is written without a screen.

/// What one pane shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Pane {
    /// Its title.
    pub title: &'static str,
    /// The heads of the columns.
    pub head: Vec<&'static str>,
    /// The rows, each with a text for each column.
    pub rows: Vec<Vec<String>>,
    /// What it says if there is no row.
    pub empty: &'static str,
}

/// The snapshot: every pane as plain text.
pub(super) fn plain(panes: &[Pane]) -> String {
    let mut text = String::new();
    for pane in panes {
        text.push_str(&format!("{}\n", pane.title));
        if pane.rows.is_empty() {
            text.push_str(&format!("  {}\n\n", pane.empty));
            continue;
        }
        let widths = widths(pane);
        let head = pane.head.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&head).chain(&pane.rows) {
            let is_note = row.first().is_some_and(String::is_empty);
            let cells = row.iter().zip(&widths).map(|(cell, width)| match is_note {
                true => cell.clone(),
                false => format!("{cell:<width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(&format!("  {}\n", line.trim_end()));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The widths of the columns of a pane. A row that begins with an empty text is a note, which has no columns.
pub(super) fn widths(pane: &Pane) -> Vec<usize> {
    let width = |(place, head): (usize, &&str)| {
        let rows = pane.rows.iter();
        let cells = rows.filter(|row| row.first().is_some_and(|first| !first.is_empty()));
        let cells = cells.filter_map(|row| row.get(place));
        let widest = cells.map(|cell| cell.chars().count()).max();
        widest.unwrap_or(0).max(head.chars().count())
    };
    pane.head.iter().enumerate().map(width).collect()
}
