//! Asks a server by its protocol, on a connection for each question.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A text or a number.
    Text(String),
    /// A refusal.
    Error(String),
    /// Several.
    Array(Vec<Reply>),
    /// Nothing.
    Nil,
}

impl Reply {
    /// The text.
    ///
    /// # Panics
    /// It is something else.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is not a text"),
        }
    }

    /// The elements.
    ///
    /// # Panics
    /// It is something else.
    #[must_use]
    pub fn array(&self) -> &[Reply] {
        match self {
            Self::Array(replies) => replies,
            other => panic!("{other:?} is not an array"),
        }
    }
}

/// Asks the server at `address` these commands, and returns the last answer.
///
/// # Errors
/// It cannot be reached, or does not answer within two seconds.
pub fn ask(address: SocketAddr, commands: &[&[&str]]) -> Result<Reply> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut last = Reply::Nil;
    for command in commands {
        let mut text = format!("*{}\r\n", command.len());
        for word in *command {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        reader.get_mut().write_all(text.as_bytes())?;
        last = read(&mut reader)?;
    }
    Ok(last)
}

fn read(reader: &mut BufReader<TcpStream>) -> Result<Reply> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line
        .split_at_checked(1)
        .ok_or_else(|| Error::other("no answer"))?;
    let length = || rest.parse::<i64>().map_err(Error::other);
    match kind {
        "+" | ":" => Ok(Reply::Text(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        "$" => match usize::try_from(length()?) {
            Err(_) => Ok(Reply::Nil),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                reader.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
        },
        "*" => match length()? {
            count if count < 0 => Ok(Reply::Nil),
            count => (0..count)
                .map(|_| read(reader))
                .collect::<Result<_>>()
                .map(Reply::Array),
        },
        _ => Err(Error::other(format!("the server answers {line}"))),
    }
}
