//! The check at the end of each line.

use serde::Serialize;
use sha2::{Digest, Sha256};

const MARK: &str = ",\"check\":\"";
const DIGITS: usize = 16;

/// Hex of a digest.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGIT: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGIT[usize::from(b >> 4)], DIGIT[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

/// `value` as one line with its check, without the line feed.
pub(super) fn seal(value: &impl Serialize) -> serde_json::Result<String> {
    let mut line = serde_json::to_string(value)?;
    // An object's last character is its closing brace; the check goes before it.
    line.pop();
    let check = digest(&line);
    line.push_str(MARK);
    line.push_str(&check);
    line.push_str("\"}");
    Ok(line)
}

/// The line without its check, as the JSON that was sealed, or what is wrong with it.
pub(super) fn unseal(line: &str) -> Result<String, &'static str> {
    let cut = "this line has been cut or edited: it has no check at its end";
    let (body, tail) = line.rsplit_once(MARK).ok_or(cut)?;
    let check = tail.strip_suffix("\"}").filter(|check| check.len() == DIGITS).ok_or(cut)?;
    if digest(body) != check {
        return Err("this line was changed after it was written: its check does not match");
    }
    Ok(format!("{body}}}"))
}

fn digest(text: &str) -> String {
    let mut hex = hex(&Sha256::digest(text.as_bytes()));
    hex.truncate(DIGITS);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_opens_and_an_edited_one_does_not() {
        let value = serde_json::json!({"id": "a", "text": "x,\"check\":\"y\"}"});
        let line = seal(&value).expect("serialises");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&unseal(&line).expect("whole"))
                .expect("JSON"),
            value
        );
        assert!(
            serde_json::from_str::<serde_json::Value>(&line).is_ok(),
            "the sealed line is JSON too"
        );
        for at in 0..line.len() - 1 {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(unseal(&String::from_utf8(bytes).expect("ASCII")).is_err(), "changed at {at}");
            assert!(unseal(&line[..at]).is_err(), "cut at {at}");
        }
    }
}
