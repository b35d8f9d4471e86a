//! Tables for people.

/// A table: names at the left, figures at the right.
pub(crate) struct Table {
    title: String,
    /// How many columns are names.
    names: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(title: &str, names: &[&str], figures: &[&str]) -> Self {
        let heads = names.iter().chain(figures).map(|head| (*head).to_owned()).collect();
        Self { title: title.to_owned(), names: names.len(), rows: vec![heads] }
    }

    /// One more row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes it to standard output.
    pub(crate) fn print(&self) {
        println!("{}", self.text());
    }

    fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| widest(column).unwrap_or_default()).collect();
        let mut text = format!("{}\n", self.title);
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push_str("  ");
                let cell = if column < self.names { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                line.push_str(&cell);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A time in seconds, as people read it: `0.64 µs`, `12.7 µs`, `1.30 ms`, `7.4 s`.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => three(seconds * 1e6, "µs"),
        _ if seconds < 1.0 => three(seconds * 1e3, "ms"),
        _ => format!("{seconds:.1} s"),
    }
}

/// Bytes, as people read them: `54.2 KiB`.
pub(crate) fn size(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    if bytes.abs() < KIB * KIB { three(bytes / KIB, "KiB") } else { three(bytes / KIB / KIB, "MiB") }
}

/// Three digits.
fn three(number: f64, unit: &str) -> String {
    let places = match number.abs() {
        large if large >= 99.95 => 0,
        medium if medium >= 9.995 => 1,
        _ => 2,
    };
    format!("{number:.places$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::{Table, size, time};

    #[test]
    fn figures_have_three_digits() {
        let times = [0.64e-6, 12.74e-6, 99.96e-6, 860e-6, 1.3e-3, 0.131, 7.42];
        let read = ["0.64 µs", "12.7 µs", "100 µs", "860 µs", "1.30 ms", "131 ms", "7.4 s"];
        assert_eq!(times.map(time), read);
        assert_eq!([512.0, 55_501.0, 12_953_557.0].map(size), ["0.50 KiB", "54.2 KiB", "12.4 MiB"]);
    }

    #[test]
    fn figures_stand_under_each_other() {
        let mut table = Table::new("all of them", &["plugin"], &["p50"]);
        table.row(["Rust".to_owned(), "12.7 µs".to_owned()]);
        table.row(["JavaScript".to_owned(), "0.86 ms".to_owned()]);
        let lines = ["all of them", "  plugin          p50", "  Rust        12.7 µs", "  JavaScript  0.86 ms"];
        assert_eq!(table.text(), lines.join("\n") + "\n");
    }
}
