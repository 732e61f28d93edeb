//! Columns of fixed width with a head of two lines.

use crate::table::{Look, Tone};
use crate::text;

/// A column of a [`Grid`].
pub(crate) struct Column<'a> {
    /// First line of the head; a column with the same group as the one before it shares it.
    pub(crate) group: &'static str,
    /// Second line of the head.
    pub(crate) name: &'a str,
    /// Columns that it takes, the space before it included.
    pub(crate) width: usize,
    /// Aligned left, as words are.
    pub(crate) left: bool,
}

/// A cell: its text and how it is painted.
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Option<Tone>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: None }
    }

    pub(crate) fn painted(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone: Some(tone) }
    }
}

/// A head and rows under it.
pub(crate) struct Grid<'a> {
    /// How the head is painted.
    pub(crate) head: Tone,
    pub(crate) columns: Vec<Column<'a>>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// Every line begins with this many spaces.
const MARGIN: usize = 2;

impl Grid<'_> {
    pub(crate) fn lines(&self, look: &Look<'_>) -> Vec<String> {
        let mut lines = Vec::new();
        let groups = self.groups();
        if !groups.trim().is_empty() {
            lines.push(look.paint(self.head, &groups));
        }
        let names = self.columns.iter().map(|c| align(c.name, c)).collect::<String>();
        lines.push(look.paint(self.head, format!("{}{names}", " ".repeat(MARGIN)).trim_end()));
        for row in &self.rows {
            let cells = self
                .columns
                .iter()
                .zip(row)
                .map(|(column, cell)| paint(&align(&cell.text, column), cell, look));
            let line = cells.collect::<String>();
            lines.push(format!("{}{line}", " ".repeat(MARGIN)).trim_end().to_owned());
        }
        lines
    }

    /// The line above the names: each group centred over its columns.
    fn groups(&self) -> String {
        let mut line = " ".repeat(MARGIN);
        for same in self.columns.chunk_by(|a, b| !a.group.is_empty() && a.group == b.group) {
            let width: usize = same.iter().map(|c| c.width).sum();
            let name = text::cut(same[0].group, width.saturating_sub(1));
            let before = (width - text::width(&name)).div_ceil(2);
            let after = width - before - text::width(&name);
            line.push_str(&format!("{}{name}{}", " ".repeat(before), " ".repeat(after)));
        }
        line.trim_end().to_owned()
    }
}

/// Pads to the column's width; what does not fit is cut, never spilt.
fn align(cell: &str, column: &Column<'_>) -> String {
    let shown = text::cut(cell, column.width - 1);
    let padding = " ".repeat(column.width - 1 - text::width(&shown));
    if column.left { format!("{shown}{padding} ") } else { format!(" {padding}{shown}") }
}

/// Paints the text and not the padding, so that underlines and backgrounds stay where the text is.
fn paint(aligned: &str, cell: &Cell, look: &Look<'_>) -> String {
    let Some(tone) = cell.tone else { return aligned.to_owned() };
    let shown = aligned.trim();
    if shown.is_empty() {
        return aligned.to_owned();
    }
    aligned.replacen(shown, &look.paint(tone, shown), 1)
}
