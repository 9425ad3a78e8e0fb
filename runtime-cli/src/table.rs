//! Tables of text, padded like those of runc.

const MIN_WIDTH: usize = 12;
const PADDING: usize = 3;

/// `rows` as lines, each cell but the last of a row padded to its column: to the
/// longest of the column plus 3, at least 12.
pub(crate) fn render<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (longest + PADDING).max(MIN_WIDTH)
    });
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row[..N - 1].iter().zip(widths) {
            text += &format!("{cell:width$}");
        }
        text += &row[N - 1];
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell_and_three_more() {
        let rows = [["ID", "BUNDLE", "OWNER"], ["x1", "/tmp/cliprobe/b", "root"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            render(&rows),
            "ID          BUNDLE            OWNER\nx1          /tmp/cliprobe/b   root\n"
        );
    }
}
