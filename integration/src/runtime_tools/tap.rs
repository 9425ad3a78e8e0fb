//! What a program of the suite prints: the Test Anything Protocol, with its liberties.

/// The points of one program.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tap {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
    /// What the program said it would count, if it did.
    pub planned: Option<u32>,
    /// What the first point that failed is about.
    pub first_failure: Option<String>,
    /// An error that belongs to no point: some programs report nothing but that.
    pub error: Option<String>,
}

impl Tap {
    /// Reads a program's output.
    pub fn parse(text: &str) -> Self {
        let mut tap = Self::default();
        for line in text.lines() {
            tap.line(line);
        }
        tap
    }

    fn line(&mut self, line: &str) {
        if let Some(point) = line.strip_prefix("not ok") {
            self.failed += 1;
            self.first_failure.get_or_insert_with(|| description(point));
        } else if let Some(point) = line.strip_prefix("ok ") {
            if point.to_uppercase().contains("# SKIP") {
                self.skipped += 1;
            } else {
                self.passed += 1;
            }
        } else if let Some(count) = line.strip_prefix("1..") {
            self.planned = count.trim().parse().ok();
        } else if let Some(error) = line.trim_start().strip_prefix("\"error\": ") {
            // With points, it says more about one of them.
            if self.points() == 0 {
                let error = error.trim_matches(['"', ',']);
                self.error.get_or_insert_with(|| error.replace("\\n", " "));
            }
        }
    }

    /// All points.
    pub fn points(&self) -> u32 {
        self.passed + self.failed + self.skipped
    }
}

/// The words behind the number and the dash.
fn description(point: &str) -> String {
    let words = point.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    words.trim_start_matches([' ', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_counted_and_the_first_failure_is_kept() {
        let text = "TAP version 13\nok 1 - a\nnot ok 2 - b is c\n  ---\n  \"error\": \"late\"\n\
                    ok 3 # SKIP no d\nnot ok 4 - e\n1..4\n";
        let tap = Tap::parse(text);
        assert_eq!((tap.passed, tap.failed, tap.skipped), (1, 2, 1));
        assert_eq!(tap.planned, Some(4));
        assert_eq!(tap.first_failure.as_deref(), Some("b is c"));
        assert_eq!(tap.error, None);
    }

    #[test]
    fn an_error_without_a_point_is_kept() {
        let tap = Tap::parse("TAP version 13\n  {\n    \"error\": \"one\\ntwo\"\n  }\n1..0\n");
        assert_eq!(tap.error.as_deref(), Some("one two"));
        assert_eq!(tap.planned, Some(0));
    }
}
