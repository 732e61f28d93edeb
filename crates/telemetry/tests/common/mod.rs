//! A metrics server of a few lines, on port 0.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// What the server does with one request.
#[derive(Clone)]
pub(crate) enum Answer {
    Body(u16, Vec<u8>),
    /// Holds the connection open and says nothing.
    Silence(Duration),
}

pub(crate) struct Server {
    /// `127.0.0.1:PORT`.
    pub(crate) addr: String,
    /// The head of each request, as it came.
    pub(crate) heads: Receiver<String>,
}

/// Gives one answer after the other; the last one stays.
pub(crate) fn serve(answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound").to_string();
    let (sender, heads) = mpsc::channel();
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            let answer = answers[n.min(answers.len() - 1)].clone();
            let sender = sender.clone();
            thread::spawn(move || {
                let head = read_head(&stream);
                let _ = sender.send(head);
                reply(stream, answer);
            });
        }
    });
    Server { addr, heads }
}

fn read_head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).is_ok_and(|n| n > 0) {
            continue;
        }
        break;
    }
    head
}

fn reply(mut stream: TcpStream, answer: Answer) {
    match answer {
        Answer::Silence(time) => thread::sleep(time),
        Answer::Body(status, body) => {
            let head = format!(
                "HTTP/1.1 {status} Some Reason\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    }
}
