//! Columns for people.

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub what: String,
    pub ours: String,
    pub floor: String,
    pub target: String,
    pub met: Option<bool>,
}

/// All rows under a heading, in columns.
pub(crate) fn table(rows: &[Row]) -> String {
    let heading = ["", "vllm-bench: median (min to max)", "floor", "target", ""];
    let mut cells = vec![heading.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let met = match row.met {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        [&row.what, &row.ours, &row.floor, &row.target, met].map(str::to_owned)
    }));
    let mut widths = [0; 5];
    for line in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &cells {
        let columns = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = columns.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let row = |what: &str, met| Row {
            what: what.into(),
            ours: "1 µs".into(),
            floor: "1".into(),
            target: "≤ 2".into(),
            met,
        };
        let text = table(&[row("a", Some(true)), row("longer", Some(false)), row("b", None)]);
        let lines: Vec<&str> = text.lines().collect();
        let column =
            |line: &str, word: &str| line.find(word).map(|byte| line[..byte].chars().count());
        assert_eq!(column(lines[1], "met"), column(lines[2], "MISSED"));
        assert_eq!(column(lines[0], "target"), column(lines[3], "≤ 2"));
        assert!(lines.iter().all(|line| !line.ends_with(' ')));
    }
}
