//! Formats tables of plain text, like kubectl.

/// The text between two columns of a table.
const GAP: &str = "  ";

/// Formats a header and rows. Each column is as wide as its longest cell. Lines have no trailing spaces and
/// end with a line break.
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = header.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; COLUMNS]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join(GAP).trim_end())
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(header)).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_columns_are_as_wide_as_their_longest_cell() {
        let rows = [["größer", "1"], ["a", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(["NAME", "COUNT"], &rows), "NAME    COUNT\ngrößer  1\na\n");
    }
}
