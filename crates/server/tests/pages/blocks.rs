//! The fenced blocks of a page, and the marks before them (`docs/style.md`).

/// Why a block is not run. The page of style has the same list.
pub const REASONS: [&str; 10] = [
    "root",
    "docker",
    "kubernetes",
    "public-name",
    "network",
    "toolchain",
    "other-system",
    "other-program",
    "long",
    "values",
];

/// What a comment before a block says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is this file.
    File(String),
    /// It is an excerpt of this file of the repository.
    Source(String),
    /// Its last command is a server or a stream.
    KeepsRunning,
    /// Its last command fails.
    Fails,
    /// It cannot run where the test runs.
    NotRun(String),
}

impl Mark {
    /// The mark of a line, if it is a comment that is one.
    ///
    /// # Errors
    /// It looks like a mark, and is not one.
    fn read(line: &str) -> Result<Option<Self>, String> {
        let inner = line
            .strip_prefix("<!--")
            .and_then(|line| line.strip_suffix("-->"));
        let Some(inner) = inner.map(str::trim) else {
            return Ok(None);
        };
        let (name, value) = match inner.split_once(':') {
            Some((name, value)) => (name, value.trim()),
            None => (inner, ""),
        };
        let mark = match (name, value) {
            ("file", name) if !name.is_empty() => Self::File(name.to_owned()),
            ("source", path) if !path.is_empty() => Self::Source(path.to_owned()),
            ("keeps running", "") => Self::KeepsRunning,
            ("fails", "") => Self::Fails,
            ("not run", reason) if REASONS.contains(&reason) => Self::NotRun(reason.to_owned()),
            ("not run", reason) => {
                return Err(format!(
                    "`{reason}` is not a reason not to run a block; docs/style.md has them"
                ));
            }
            _ => return Err(format!("`{inner}` is not a mark; docs/style.md has them")),
        };
        Ok(Some(mark))
    }
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    /// What follows the fence.
    pub language: String,
    /// What it holds.
    pub lines: Vec<String>,
    /// What the comments before it say.
    pub marks: Vec<Mark>,
}

impl Block {
    /// What it holds, each line with its end.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The file that it is.
    pub fn file(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| match mark {
            Mark::File(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The file of the repository that it is taken from.
    pub fn source(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| match mark {
            Mark::Source(path) => Some(path.as_str()),
            _ => None,
        })
    }

    /// Why it is not run.
    pub fn reason(&self) -> Option<&str> {
        self.marks.iter().find_map(|mark| match mark {
            Mark::NotRun(reason) => Some(reason.as_str()),
            _ => None,
        })
    }
}

/// The blocks of a page.
///
/// # Errors
/// What is wrong, with its line.
pub fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut marks = Vec::new();
    let mut open: Option<Block> = None;
    let mut is_in_item = false;
    for (number, line) in (1..).zip(page.lines()) {
        if let Some(mut block) = open.take() {
            if line == "```" {
                blocks.push(block);
            } else {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            continue;
        }
        if let Some(language) = line.strip_prefix("```") {
            open = Some(Block {
                line: number,
                language: language.to_owned(),
                lines: Vec::new(),
                marks: std::mem::take(&mut marks),
            });
            continue;
        }
        if let Some(language) = line.trim_start().strip_prefix("```") {
            match (is_in_item, language) {
                (true, _) | (false, "text") => is_in_item = !is_in_item,
                (false, _) => return Err(format!("{number}: only `text` may be indented")),
            }
            continue;
        }
        match Mark::read(line).map_err(|error| format!("{number}: {error}"))? {
            Some(mark) => marks.push(mark),
            None if marks.is_empty() => {}
            None => return Err(format!("{number}: a mark is not followed by its block")),
        }
    }
    match open {
        _ if is_in_item => Err("an indented block does not end".to_owned()),
        Some(block) => Err(format!("{}: the block does not end", block.line)),
        None if !marks.is_empty() => Err("the last mark is not followed by its block".to_owned()),
        None => Ok(blocks),
    }
}

/// Marks belong to the block that follows.
#[test]
fn marks_are_read() {
    let page =
        "text\n<!-- file: a.json -->\n<!-- not run: root -->\n```json\n{}\n```\n```text\n```\n";
    let found = blocks(page).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].file(), found[0].line), (Some("a.json"), 4));
    assert_eq!(found[0].reason(), Some("root"));
    assert_eq!(found[0].text(), "{}\n");
    assert_eq!(found[1].marks, []);
}

/// A mark that is not one is a fault, and so is one without a block.
#[test]
fn unknown_marks_are_refused() {
    for page in [
        "<!-- not run: too lazy -->\n```sh\n```\n",
        "<!-- not run -->\n```sh\n```\n",
        "<!-- ignored -->\n```sh\n```\n",
        "<!-- fails -->\ntext\n```sh\n```\n",
        "<!-- fails -->\n",
        "- item\n  ```sh\n  ```\n",
        "- item\n  ```text\n",
        "```sh\n",
    ] {
        assert!(blocks(page).is_err(), "{page}");
    }
}
