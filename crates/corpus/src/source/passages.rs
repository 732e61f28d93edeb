//! Articles and documents, cut into passages.

use std::path::Path;

use super::clean::tidy;
use super::load::{Reading, Request};
use super::material::Material;
use super::{jsonl, parquet};
use crate::CorpusError;

/// Passages are joined from paragraphs until they have about this many characters...
const ENOUGH: usize = 500;
/// ...and cut at a sentence beyond this many.
const MOST: usize = 2400;
/// Shorter pieces are headings and leftovers.
const LEAST: usize = 40;

const TITLE_KEYS: [&str; 4] = ["title", "name", "heading", "file"];
const TEXT_KEYS: [&str; 7] =
    ["text", "content", "body", "passage", "document", "context", "markdown"];

/// Reads one file of articles or passages: `title` and `text` by row of Parquet or by line of JSON.
pub(super) fn read(
    path: &Path,
    request: &Request<'_>,
    material: &mut Material,
) -> Result<Reading, CorpusError> {
    if parquet::is_parquet(path) {
        parquet::rows(path, request, |row| {
            add(row.title.as_deref(), row.text, request, material);
            Ok(())
        })
    } else {
        let (records, sha256) = jsonl::for_each(path, request.take(), |line, row| {
            let Some(text) = jsonl::text(&row, &TEXT_KEYS) else {
                let message = format!(
                    "no text under any of {}; found {}",
                    TEXT_KEYS.join(", "),
                    jsonl::keys(&row)
                );
                return Err(CorpusError::line(path, line, message));
            };
            add(jsonl::text(&row, &TITLE_KEYS), text, request, material);
            Ok(())
        })?;
        Ok(Reading { records, sha256: Some(sha256) })
    }
}

/// Adds the passages of one article or document.
pub(super) fn add(title: Option<&str>, text: &str, request: &Request<'_>, material: &mut Material) {
    let text = tidy(text, request.footnotes());
    let before = material.passages.len();
    if request.whole() {
        material.passage(title, &text, true);
    } else {
        for piece in pieces(&text) {
            material.passage(title, piece, true);
        }
    }
    if material.passages.len() == before {
        material.left_out += 1;
    }
}

/// Cuts a text at empty lines into pieces of a passage's size.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let paragraph = rest.find("\n\n").unwrap_or(rest.len());
        let end = start + paragraph;
        rest = rest.get(paragraph + 2..).unwrap_or_default();
        let mut piece = &text[start..end];
        // A short paragraph goes together with the next one, a heading with its text.
        while piece.len() < ENOUGH && !rest.is_empty() {
            let next = rest.find("\n\n").unwrap_or(rest.len());
            if piece.len() + next > MOST {
                break;
            }
            piece = &text[start..start + piece.len() + 2 + next];
            rest = rest.get(next + 2..).unwrap_or_default();
        }
        start = text.len() - rest.len();
        while piece.len() > MOST {
            let cut = crate::rag::sentence_ends(piece).take_while(|&end| end <= MOST).last();
            let cut = cut
                .or_else(|| piece[..floor(piece, MOST)].rfind(char::is_whitespace))
                .filter(|&c| c > 0);
            let (head, tail) = piece.split_at(cut.unwrap_or_else(|| floor(piece, MOST)));
            push(&mut pieces, head);
            piece = tail;
        }
        push(&mut pieces, piece);
    }
    pieces
}

fn push<'t>(pieces: &mut Vec<&'t str>, piece: &'t str) {
    let piece = piece.trim();
    if piece.len() >= LEAST {
        pieces.push(piece);
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_joined_and_long_ones_cut() {
        let short = "A short paragraph with some words in it.";
        let text = format!(
            "Heading\n\n{short}\n\n{}",
            "Sentence after sentence follows here. ".repeat(100)
        );
        let pieces = pieces(&text);
        assert_eq!(pieces[0], format!("Heading\n\n{short}"));
        assert!(pieces[1..].iter().all(|p| p.len() <= MOST && p.ends_with('.')), "{pieces:?}");
        let kept: usize = pieces.iter().map(|p| p.split_whitespace().count()).sum();
        assert_eq!(kept, text.split_whitespace().count());
    }

    #[test]
    fn text_without_spaces_is_cut_between_characters() {
        let text = "ä".repeat(4000);
        let pieces = pieces(&text);
        assert_eq!(pieces.concat(), text);
        assert!(pieces.iter().all(|p| p.len() <= MOST));
        assert!(super::pieces("x").is_empty());
    }
}
