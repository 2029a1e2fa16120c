//! A recorded page: exchange after exchange, in Markdown.

/// A request and its answer.
#[derive(Debug)]
pub struct Exchange {
    pub number: usize,
    pub title: String,
    pub request: Message,
    pub answer: Message,
}

/// Head and body of either.
#[derive(Debug)]
pub struct Message {
    pub start: String,
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').expect("a field");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self {
            start: lines.next().expect("a first line").to_owned(),
            fields: lines.map(field).collect(),
            body: body.to_owned(),
        }
    }

    pub fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    }

    /// The middle of `GET /path HTTP/1.1` and `HTTP/1.1 200 OK`.
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).expect("three words")
    }

    /// What is between method and version.
    pub fn target(&self) -> &str {
        let rest = self.start.split_once(' ').map_or("", |(_, rest)| rest);
        rest.rsplit_once(' ').map_or("", |(target, _)| target)
    }

    /// The events of a stream that was recorded with its chunk sizes.
    pub fn events(&self) -> Vec<String> {
        let mut events = Vec::new();
        let mut event: Vec<&str> = Vec::new();
        for line in self.body.lines().chain([""]) {
            let is_size = line.bytes().all(|byte| byte.is_ascii_hexdigit()) && !line.is_empty();
            if line.is_empty() || is_size {
                if !event.is_empty() {
                    events.push(event.join("\n"));
                }
                event.clear();
            } else if !line.starts_with(':') {
                event.push(line);
            }
        }
        events
    }
}

/// All exchanges of a page.
pub fn parse(page: &str) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for section in page.split("\n### ").skip(1) {
        let (heading, rest) = section.split_once('\n').expect("a heading");
        let (number, title) = heading.split_once(". ").expect("a number");
        let mut blocks = rest.split("```http\n").skip(1);
        let mut message = || {
            let block = blocks.next().expect("a block");
            Message::parse(block.split("\n```").next().unwrap_or_default())
        };
        exchanges.push(Exchange {
            number: number.parse().expect("a number"),
            title: title.to_owned(),
            request: message(),
            answer: message(),
        });
    }
    exchanges
}
