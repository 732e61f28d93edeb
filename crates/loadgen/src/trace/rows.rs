//! Rows of a trace in time order, from CSV or JSON Lines: what every format rests on.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::generic::Columns;
use super::lines::Lines;
use super::{csv, json, value};
use crate::schedule_error::ScheduleError;

/// A trace file's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub shape: Shape,
    pub columns: Columns,
    /// Columns that not every release of the format has.
    pub session_optional: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Csv,
    Jsonl,
}

/// A request as its line says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Nanoseconds on the trace's own clock.
    pub time: u64,
    pub prompt_tokens: Option<Length>,
    pub output_tokens: Option<Length>,
    pub session: Option<String>,
    pub hash_ids: Option<(usize, Vec<u64>)>,
}

/// A number of tokens and the column where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    pub tokens: u32,
    pub column: usize,
}

/// Reads rows in time order.
#[derive(Debug)]
pub(crate) struct Rows {
    lines: Lines,
    layout: Layout,
    header: Option<Header>,
    /// Time, its text and line of the row before.
    last: Option<(u64, String, u64)>,
    read: u64,
}

/// Where the columns stand in a CSV file.
#[derive(Debug)]
struct Header {
    fields: usize,
    time: usize,
    prompt_tokens: Option<usize>,
    output_tokens: Option<usize>,
    session: Option<usize>,
}

/// What one line gives, before it is understood: the value's column and text, if it has one.
struct Raw<'a> {
    time: (usize, Option<Cow<'a, str>>),
    prompt_tokens: Option<(usize, Option<Cow<'a, str>>)>,
    output_tokens: Option<(usize, Option<Cow<'a, str>>)>,
    session: Option<Cow<'a, str>>,
    hash_ids: Option<(usize, Vec<u64>)>,
}

type Fault = (usize, String);

impl Rows {
    pub(crate) fn new(lines: Lines, layout: Layout) -> Self {
        Self { lines, layout, header: None, last: None, read: 0 }
    }

    pub(crate) fn name(&self) -> &str {
        self.lines.name()
    }

    /// Rows read so far.
    pub(crate) const fn read(&self) -> u64 {
        self.read
    }

    /// An error in the line read last.
    pub(crate) fn at(&self, column: usize, message: String) -> ScheduleError {
        self.lines.at(column, message)
    }

    /// The name of the column with the answers' (else the prompts') lengths, for errors.
    pub(crate) fn length_name(&self, output: bool) -> &str {
        let columns = &self.layout.columns;
        let name = if output { &columns.output_tokens } else { &columns.prompt_tokens };
        name.as_deref().unwrap_or("length")
    }

    /// The next row; `None` at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row>, ScheduleError> {
        if self.layout.shape == Shape::Csv && self.header.is_none() {
            let Some(line) = self.lines.next_line()? else { return Ok(None) };
            let header = Header::of(&line, &self.layout).map_err(|(c, m)| self.at(c, m))?;
            self.header = Some(header);
        }
        let Some(line) = self.lines.next_line()? else { return Ok(None) };
        let (row, time) = self.row(&line).map_err(|(column, message)| self.at(column, message))?;
        self.last = Some((row.time, time, self.lines.number()));
        self.read += 1;
        Ok(Some(row))
    }

    fn row(&self, line: &str) -> Result<(Row, String), Fault> {
        let raw = match &self.header {
            Some(header) => header.raw(line)?,
            None => object(line, &self.layout.columns)?,
        };
        let Columns { time: name, time_unit, .. } = &self.layout.columns;
        let text = given(name, &raw.time)?;
        let column = raw.time.0;
        let time = value::time(text, *time_unit).map_err(|m| (column, format!("{name} {m}")))?;
        if let Some((last, before, line)) = &self.last
            && time < *last
        {
            return Err((
                column,
                format!(
                    "{name} goes back, from {before} on line {line} to {text}; sort the trace by it"
                ),
            ));
        }
        let length = |name: &Option<String>, raw: &Option<(usize, Option<Cow<'_, str>>)>| match (
            name, raw,
        ) {
            (Some(name), Some(raw)) => {
                let tokens =
                    value::tokens(given(name, raw)?).map_err(|m| (raw.0, format!("{name} {m}")))?;
                Ok(Some(Length { tokens, column: raw.0 }))
            }
            _ => Ok(None),
        };
        let prompt_tokens = length(&self.layout.columns.prompt_tokens, &raw.prompt_tokens)?;
        let output_tokens = length(&self.layout.columns.output_tokens, &raw.output_tokens)?;
        let time_text = text.trim().to_owned();
        let session = raw.session.map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
        Ok((Row { time, prompt_tokens, output_tokens, session, hash_ids: raw.hash_ids }, time_text))
    }
}

fn given<'a>(
    name: &str,
    (column, text): &'a (usize, Option<Cow<'_, str>>),
) -> Result<&'a str, Fault> {
    match text {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err((*column, format!("{name} is missing"))),
    }
}

impl Header {
    fn of(line: &str, layout: &Layout) -> Result<Self, Fault> {
        let fields = csv::split(line)?;
        let find = |name: &String| {
            let mut places = (0..fields.len()).filter(|&i| fields[i].1.trim() == name);
            let first = places.next();
            match places.next() {
                Some(second) => Err((fields[second].0, format!("the header has {name} twice"))),
                None => Ok(first),
            }
        };
        let need = |name: &String| {
            find(name)?.ok_or_else(|| {
                let has: Vec<&str> = fields.iter().map(|f| f.1.trim()).collect();
                (1, format!("the header has no {name}; it has {}", has.join(", ")))
            })
        };
        let columns = &layout.columns;
        let session = match &columns.session {
            Some(name) if layout.session_optional => find(name)?,
            Some(name) => Some(need(name)?),
            None => None,
        };
        Ok(Self {
            fields: fields.len(),
            time: need(&columns.time)?,
            prompt_tokens: columns.prompt_tokens.as_ref().map(need).transpose()?,
            output_tokens: columns.output_tokens.as_ref().map(need).transpose()?,
            session,
        })
    }

    fn raw<'a>(&self, line: &'a str) -> Result<Raw<'a>, Fault> {
        let mut fields = csv::split(line)?;
        if fields.len() != self.fields {
            let column = fields.get(self.fields).map_or(line.chars().count() + 1, |extra| extra.0);
            return Err((
                column,
                format!("{} fields where the header has {}", fields.len(), self.fields),
            ));
        }
        let mut take = |i: usize| {
            let (column, text) = &mut fields[i];
            (*column, Some(std::mem::take(text)))
        };
        Ok(Raw {
            time: take(self.time),
            prompt_tokens: self.prompt_tokens.map(&mut take),
            output_tokens: self.output_tokens.map(&mut take),
            session: self.session.and_then(|i| take(i).1),
            hash_ids: None,
        })
    }
}

fn object<'a>(line: &str, columns: &Columns) -> Result<Raw<'a>, Fault> {
    let mut object = json::parse(line)?;
    let mut session = None;
    if let Some(name) = &columns.session {
        session = scalar(line, name, &object)?.1;
    }
    let length =
        |name: &Option<String>| name.as_ref().map(|name| scalar(line, name, &object)).transpose();
    Ok(Raw {
        time: scalar(line, &columns.time, &object)?,
        prompt_tokens: length(&columns.prompt_tokens)?,
        output_tokens: length(&columns.output_tokens)?,
        session,
        hash_ids: columns.hash_ids.as_ref().map(|name| ids(line, name, &mut object)).transpose()?,
    })
}

/// The text of a number or string, and where it stands.
fn scalar<'a>(
    line: &str,
    name: &str,
    object: &Map<String, Value>,
) -> Result<(usize, Option<Cow<'a, str>>), Fault> {
    let column = || json::column(line, name);
    match object.get(name) {
        None => Ok((1, None)),
        Some(Value::Null) => Ok((column(), None)),
        Some(Value::Number(number)) => Ok((column(), Some(number.to_string().into()))),
        Some(Value::String(text)) => Ok((column(), Some(text.clone().into()))),
        Some(_) => Err((column(), format!("{name} is neither a number nor a string"))),
    }
}

fn ids(
    line: &str,
    name: &str,
    object: &mut Map<String, Value>,
) -> Result<(usize, Vec<u64>), Fault> {
    let column = json::column(line, name);
    let Some(value) = object.remove(name) else {
        return Err((
            1,
            format!(
                "{name} is missing; a trace without prompt blocks is read with format = {{ jsonl = {{ .. }} }}"
            ),
        ));
    };
    let ids = match value {
        Value::Array(list) => list.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>(),
        _ => None,
    };
    let ids =
        ids.ok_or_else(|| (column, format!("{name} is not a list of whole numbers from 0")))?;
    Ok((column, ids))
}
