//! The commands of a block, and what the page shows of their output.

use crate::blocks::{Block, Mark};

/// A step of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command.
    Command(Command),
    /// `^C`: the reader ends the server or stream that was started last.
    Interrupt {
        /// Its line on the page.
        line: usize,
    },
}

/// A command, which may have several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its line on the page.
    pub line: usize,
    /// What the shell gets.
    pub text: String,
    /// What the page shows of its output.
    pub output: Vec<String>,
    /// It goes on while the reader continues in another terminal.
    pub keeps_running: bool,
    /// Its exit code is not 0.
    pub fails: bool,
}

impl Command {
    fn new(line: usize, text: String) -> Self {
        Self {
            line,
            text,
            output: Vec::new(),
            keeps_running: false,
            fails: false,
        }
    }

    /// Finds out what the text says of itself.
    fn finish(mut self) -> Self {
        while self.output.last().is_some_and(String::is_empty) {
            self.output.pop();
        }
        let text = self.text.trim_end();
        if let Some(text) = text
            .strip_suffix('&')
            .filter(|text| !text.ends_with(['&', '|']))
        {
            self.text = text.trim_end().to_owned();
            self.keeps_running = true;
        }
        self.keeps_running |= goes_on(&self.text);
        self.fails |= self
            .output
            .first()
            .is_some_and(|line| line.starts_with("error: "));
        self
    }
}

/// Whether it is a server or a stream by its words.
fn goes_on(text: &str) -> bool {
    let words: Vec<&str> = text
        .split_whitespace()
        .skip_while(|word| {
            word.split_once('=')
                .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        })
        .take_while(|word| !word.starts_with('#'))
        .collect();
    match words.as_slice() {
        ["talaria"] => true,
        ["talaria", "run" | "dev", rest @ ..] => !rest.contains(&"--help"),
        ["curl", rest @ ..] => {
            rest.contains(&"-N") && !rest.contains(&"--max-time") && !rest.contains(&"|")
        }
        _ => false,
    }
}

/// The steps of a block that is run.
///
/// # Errors
/// What is wrong, with its line.
pub fn steps(block: &Block) -> Result<Vec<Step>, String> {
    let mut steps = match block.language.as_str() {
        "sh" => vec![Step::Command(
            Command::new(block.line + 1, block.text()).finish(),
        )],
        _ => transcript(block)?,
    };
    let last = steps.iter_mut().rev().find_map(|step| match step {
        Step::Command(command) => Some(command),
        Step::Interrupt { .. } => None,
    });
    if let Some(last) = last {
        last.keeps_running |= block.marks.contains(&Mark::KeepsRunning);
        last.fails |= block.marks.contains(&Mark::Fails);
    }
    Ok(steps)
}

fn transcript(block: &Block) -> Result<Vec<Step>, String> {
    let has_prompts = block.lines.iter().any(|line| line.starts_with("$ "));
    let mut steps = Vec::new();
    let mut under_way: Option<Command> = None;
    let mut lines = (block.line + 1..).zip(&block.lines);
    while let Some((number, line)) = lines.next() {
        if line == "^C" {
            steps.extend(
                under_way
                    .take()
                    .map(|command| Step::Command(command.finish())),
            );
            steps.push(Step::Interrupt { line: number });
            continue;
        }
        let text = match (line.strip_prefix("$ "), has_prompts) {
            (Some(text), _) => text,
            (None, false) if line.trim().is_empty() => continue,
            (None, false) => line,
            (None, true) => {
                match &mut under_way {
                    Some(command) => command.output.push(line.clone()),
                    None => return Err(format!("{number}: output without a command")),
                }
                continue;
            }
        };
        steps.extend(
            under_way
                .take()
                .map(|command| Step::Command(command.finish())),
        );
        let mut text = text.to_owned();
        while !is_complete(&text) {
            let Some((_, next)) = lines.next() else {
                return Err(format!("{number}: the command does not end"));
            };
            text.push('\n');
            text.push_str(next);
        }
        under_way = Some(Command::new(number, text));
    }
    steps.extend(under_way.map(|command| Step::Command(command.finish())));
    Ok(steps)
}

/// Whether the shell would not wait for another line.
fn is_complete(text: &str) -> bool {
    let mut quote = None;
    let mut ends = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let mut chars = rest.chars();
                match chars.next() {
                    // What follows the backslash at the end of a line is the next line.
                    Some('\n') if chars.as_str().is_empty() => return false,
                    None => return false,
                    Some(_) => rest = chars.as_str(),
                }
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('<', None) if rest.starts_with('<') && !rest.starts_with("<<") => {
                rest = rest.trim_start_matches(['<', '-', '\'', '"', ' ']);
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .unwrap_or(rest.len());
                ends.push(rest[..end].to_owned());
                rest = rest[end..].trim_start_matches(['\'', '"']);
            }
            ('\n', None) => {
                while let Some(end) = ends.first() {
                    let Some(after) = after_document(rest, end) else {
                        return false;
                    };
                    rest = after;
                    ends.remove(0);
                }
            }
            _ => {}
        }
    }
    let last = text.trim_end();
    quote.is_none() && ends.is_empty() && !last.ends_with('|') && !last.ends_with("&&")
}

/// What follows the line that ends a here-document.
fn after_document<'text>(text: &'text str, end: &str) -> Option<&'text str> {
    let mut rest = text;
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        if line.trim_start_matches('\t') == end {
            return Some(after);
        }
        if after.is_empty() {
            return None;
        }
        rest = after;
    }
}

#[cfg(test)]
fn of(text: &str) -> Vec<Step> {
    let page = format!("```console\n{text}\n```\n");
    steps(&crate::blocks::blocks(&page).unwrap()[0]).unwrap()
}

#[cfg(test)]
fn command(text: &str) -> Command {
    let found = of(text);
    let [Step::Command(command)] = found.as_slice() else {
        panic!("not one command: {found:?}");
    };
    command.clone()
}

/// A command has the lines that the shell would read for it; the others are its output.
#[test]
fn lines_belong_to_their_command() {
    let found = command("$ printf '%s\\n' \\\n    a 'b\nc' |\n    cat\na\n\nb");
    assert_eq!(found.text, "printf '%s\\n' \\\n    a 'b\nc' |\n    cat");
    assert_eq!(found.output, ["a", "", "b"]);
    let found = command("$ cat > file <<'END'\n$ not a command\nEND\nshown");
    assert_eq!(found.text, "cat > file <<'END'\n$ not a command\nEND");
    assert_eq!(found.output, ["shown"]);
    assert_eq!(of("$ a\n$ b").len(), 2);
    assert_eq!(of("first\n\nsecond").len(), 2);
    assert_eq!(of("$ talaria run\n^C\n$ b").len(), 3);
}

/// Servers and streams go on, and errors fail.
#[test]
fn commands_say_what_they_are() {
    for text in [
        "$ talaria run &",
        "$ SERVER_NAME=:3000 talaria",
        "$ A=1 talaria run --config x # a server",
        "$ curl -N http://localhost/",
        "$ sleep 100 &",
    ] {
        assert!(command(text).keeps_running, "{text}");
    }
    for text in [
        "$ true && talaria version",
        "$ curl http://localhost/",
        "$ talaria run --help",
    ] {
        assert!(!command(text).keeps_running, "{text}");
    }
    assert!(command("$ talaria validate\nerror: wrong").fails);
    assert!(!command("$ talaria validate\nfine").fails);
}
