//! Plain tables for people: columns as wide as their widest cell, numbers to the right.

/// The table's text with a line break after each row; the last column is not padded.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let width = |column: usize| {
        std::iter::once(&head).chain(rows).filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let numeric: Vec<bool> = (0..head.len())
        .map(|column| {
            !rows.is_empty()
                && rows.iter().all(|row| {
                    row[column].ends_with(|c: char| c.is_ascii_digit() || c == '%') && row[column].starts_with(|c: char| c.is_ascii_digit())
                })
        })
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            let (before, after) = if numeric[column] { (padding.as_str(), "") } else { ("", padding.as_str()) };
            line.push_str(before);
            line.push_str(cell);
            line.push_str(after);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn texts_stand_left_and_numbers_right() {
        let rows = [vec!["a".to_owned(), "5".to_owned(), "x".to_owned()], vec!["bcd".to_owned(), "10".to_owned(), String::new()]];
        assert_eq!(table(&["id", "n", "what"], &rows), "id    n  what\na     5  x\nbcd  10\n");
        assert_eq!(table(&["id"], &[]), "id\n");
    }
}
