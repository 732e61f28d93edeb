//! The fields of one event (WHATWG HTML, 9.2.6 "Interpreting an event stream").

/// What an event says. `id` and `retry` are for clients that reconnect: a
/// measurement never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// `None` for the default, `message`.
    pub event: Option<&'a str>,
    pub data: Data<'a>,
}

/// Where the data of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data<'a> {
    /// No data line: the event is none.
    None,
    /// The value of the only data line.
    Line(&'a str),
    /// Several lines, which were joined.
    Joined,
}

impl<'a> Fields<'a> {
    /// Of an event's lines. Several data lines are joined in `joined`.
    pub(super) fn of(lines: impl Iterator<Item = &'a str>, joined: &mut String) -> Self {
        let mut fields = Self { event: None, data: Data::None };
        for line in lines {
            if let Some(value) = value(line, "data") {
                fields.data = match fields.data {
                    Data::None => Data::Line(value),
                    Data::Line(first) => {
                        joined.clear();
                        joined.push_str(first);
                        joined.push('\n');
                        joined.push_str(value);
                        Data::Joined
                    }
                    Data::Joined => {
                        joined.push('\n');
                        joined.push_str(value);
                        Data::Joined
                    }
                };
            } else if let Some(value) = value(line, "event") {
                fields.event = Some(value).filter(|name| !matches!(*name, "" | "message"));
            }
        }
        fields
    }
}

/// The value of a line that is of the field `name`: what follows its colon,
/// less one space; a line without a colon is a name with an empty value.
fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], event: Option<&str>, data: Option<&str>) {
        let mut joined = "left over".to_owned();
        let fields = Fields::of(lines.iter().copied(), &mut joined);
        let found = match fields.data {
            Data::None => None,
            Data::Line(line) => Some(line),
            Data::Joined => Some(joined.as_str()),
        };
        assert_eq!((fields.event, found), (event, data), "{lines:?}");
    }

    #[test]
    fn lines_become_fields() {
        check(&["data: a"], None, Some("a"));
        check(&["data:a", "data", "data:  b: c "], None, Some("a\n\n b: c "));
        check(&["data"], None, Some(""));
        check(&[" data: a", "Data: a", "datax: a", "data :a", ": data: a"], None, None);
        check(&["event: add", "data: 1"], Some("add"), Some("1"));
        check(&["event: add"], Some("add"), None);
        check(&["event: add", "event", "data: 1"], None, Some("1"));
        check(&["event: message", "id: 7", "retry: 5", "data: 1"], None, Some("1"));
        check(&[], None, None);
    }
}
