//! The pages of `docs/` against the program: what a new user copies from them works.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the pages or run the program fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SECRET: &str = "a secret of more than thirty-two bytes, for every role";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each page and its text.
fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("README.md".to_owned(), read("README.md"))];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            let path = format!("docs/{name}");
            pages.push((path.clone(), read(&path)));
        }
    }
    pages
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The blocks of a language, each line that continues another joined to it.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once(begin.as_str()) {
        let (block, after) = after.split_once("```").unwrap();
        blocks.push(block.replace("\\\n", " "));
        rest = after;
    }
    blocks
}

/// The commands that a page shows: what follows `$ `, or a whole line that is one.
fn commands(page: &str) -> Vec<String> {
    let lines: Vec<String> = blocks(page, "console")
        .iter()
        .flat_map(|block| block.lines())
        .filter_map(|line| {
            line.strip_prefix("$ ")
                .or_else(|| line.strip_prefix("# "))
                .or_else(|| line.starts_with("talaria ").then_some(line))
        })
        .map(str::to_owned)
        .collect();
    lines
}

fn talaria(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_talaria"));
    command.args(arguments).env_clear();
    command
}

/// Every configuration file and every directive that a page shows is valid.
#[test]
fn configurations_are_valid() {
    let mut count = 0;
    for (name, page) in pages() {
        for block in blocks(&page, "caddyfile") {
            let block = block.replace('…', "");
            let first = block.trim_start().split(' ').next().unwrap_or_default();
            let text = if block.contains("mercure {") {
                block
            } else {
                let key = if first == "issuer" {
                    ""
                } else {
                    "publisher_jwt {env.PUBLISHER_KEY}"
                };
                format!(":80 {{\nmercure {{\nanonymous\n{key}\n{block}\n}}\n}}\n")
            };
            let mut child = talaria(&["validate", "--config", "-"])
                .envs(
                    [
                        "PUBLISHER",
                        "SUBSCRIBER",
                        "MERCURE_PUBLISHER_JWT",
                        "MERCURE_SUBSCRIBER_JWT",
                    ]
                    .map(|role| (format!("{role}_KEY"), SECRET)),
                )
                .env("REDIS_PASSWORD", SECRET)
                .env("POSTGRES_PASSWORD", SECRET)
                .stdin(Stdio::piped())
                .stderr(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{name}:\n{text}\n{said}");
            count += 1;
        }
    }
    assert!(count >= 6, "there are no configurations");
}

/// Every verb and option that a command of a page uses exists.
#[test]
fn commands_have_the_options_that_they_use() {
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut count = 0;
    for (name, page) in pages() {
        for command in commands(&page) {
            for (_, arguments) in command
                .match_indices("talaria ")
                .map(|(at, text)| command.split_at(at + text.len()))
            {
                // A command ends where the shell takes over.
                let end = arguments
                    .find([')', '|', '&', '#', '>'])
                    .unwrap_or(arguments.len());
                let words: Vec<&str> = arguments[..end].split_whitespace().collect();
                let is_word = |word: &&&str| word.bytes().all(|b| b.is_ascii_lowercase());
                let verbs = words.iter().take(2).take_while(is_word);
                let mut verbs: Vec<String> = verbs.map(|verb| (*verb).to_owned()).collect();
                if !matches!(
                    verbs.first().map(String::as_str),
                    Some("token" | "history" | "bench" | "postgres")
                ) {
                    verbs.truncate(1);
                }
                let help = helps.entry(verbs.clone()).or_insert_with(|| {
                    let mut arguments: Vec<&str> = verbs.iter().map(String::as_str).collect();
                    arguments.push("--help");
                    let output = talaria(&arguments).output().unwrap();
                    assert!(output.status.success(), "{name}: {verbs:?}");
                    String::from_utf8(output.stdout).unwrap()
                });
                for option in words.iter().filter(|word| word.starts_with("--")) {
                    let option = option.split('=').next().unwrap();
                    assert!(
                        help.split([' ', ',', '\n']).any(|word| word == option),
                        "{name}: talaria {verbs:?} has no {option}"
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 40, "there are no commands: {count}");
}

/// A shell variable is set on the page that uses it, and a port is one that something listens on
/// there.
#[test]
fn variables_and_ports_of_commands_come_from_somewhere() {
    let of_shell = ["HOME", "PWD", "PATH", "XDG_DATA_HOME", "NAME"];
    for (name, page) in pages() {
        let commands = commands(&page);
        let all = commands.join("\n");
        for (at, _) in all.match_indices('$') {
            let rest = &all[at + 1..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let variable = &rest[..end];
            let is_set = all.contains(&format!("{variable}=")) || of_shell.contains(&variable);
            assert!(
                variable.is_empty() || is_set,
                "{name}: ${variable} is never set"
            );
        }
        for host in ["http://127.0.0.1:", "http://localhost:"] {
            for (at, _) in all.match_indices(host) {
                let rest = &all[at + host.len()..];
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let port = &rest[..end];
                // That of `talaria dev`, or one that the page names as an address or as a bad example.
                let is_known = port == "3000"
                    || page.contains(&format!(":{port} {{"))
                    || page.contains(&format!("admin localhost:{port}"))
                    || page.contains(&format!("SERVER_NAME=:{port}"))
                    || all.contains(&format!("php -S localhost:{port}"))
                    || all.contains(&format!("--origin {host}{port}"))
                    || page.contains(&format!("cors_origins {host}{port}"))
                    || all.contains(&format!("--aud {host}{port}"));
                assert!(is_known, "{name}: nothing listens on {port}");
            }
        }
    }
}

/// `docs/tokens.md` has every reason for which a token is refused, and no other.
#[test]
fn every_reason_of_a_refusal_is_documented() {
    let mut known = BTreeSet::from(["no_token".to_owned(), "insufficient_scope".to_owned()]);
    for file in ["refusal.rs", "presentation.rs", "source_origin.rs"] {
        let source = read(&format!("crates/hub/src/access/{file}"));
        let codes = source.split("=> \"").skip(1);
        known.extend(codes.filter_map(|rest| {
            let (code, _) = rest.split_once('"')?;
            let is_code = code.contains('_') || code == "expired";
            (is_code && !code.contains(' ')).then(|| code.to_owned())
        }));
    }
    let page = read("docs/tokens.md");
    let (_, reasons) = page.split_once("## Why a token is refused").unwrap();
    let documented: BTreeSet<String> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code.to_owned())
        .collect();
    assert_eq!(documented, known);
}

/// The codes of the log's field `reason` in the sources below a folder.
fn reasons_below(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            reasons_below(&path, codes);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        // A reason of an attribute has words, a code has none.
        let source = source.split("#[cfg(test)]").next().unwrap();
        let is_code = |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let mut begins = vec!["reason = \""];
        if path.ends_with("incoming/fault.rs") {
            begins.push("=> \"");
        }
        for begin in begins {
            let texts = source.split(begin).skip(1);
            let texts = texts.filter_map(|rest| Some(rest.split_once('"')?.0));
            codes.extend(
                texts
                    .filter(is_code)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned),
            );
        }
    }
}

/// Each code that the log has as `reason` stands in a table of a page, with what to do.
#[test]
fn every_reason_of_the_log_is_documented() {
    let mut codes = BTreeSet::new();
    for each in ["hub", "server", "transport"] {
        reasons_below(&root().join(format!("crates/{each}/src")), &mut codes);
    }
    assert!(codes.len() >= 30, "{codes:?}");
    let rows: String = pages()
        .iter()
        .flat_map(|(_, page)| page.lines())
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .collect();
    let missing: Vec<&String> = codes
        .iter()
        .filter(|code| !rows.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "no page explains {missing:?}");
}

/// `docs/getting-started.md` shows what `talaria dev` prints, line by line.
#[test]
fn the_greeting_of_dev_is_the_documented_one() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let mut hub = talaria(&["dev", "--port", "0"])
        .env("XDG_DATA_HOME", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut greeting = String::new();
    let mut lines = BufReader::new(hub.stdout.take().unwrap());
    // The last line is the command that makes a token, and an empty one.
    while !greeting.contains("talaria token") || !greeting.ends_with("\n\n") {
        assert!(lines.read_line(&mut greeting).unwrap() > 0, "{greeting}");
    }
    hub.kill().unwrap();
    lines.read_to_string(&mut greeting).unwrap();
    hub.wait().unwrap();
    let (_, address) = greeting.split_once("http://").unwrap();
    let (address, _) = address.split_once('/').unwrap();
    let (_, token) = greeting.split_once("Bearer ").unwrap();
    let (token, _) = token.split_once('\'').unwrap();
    let key = folder.join("talaria/dev.key").display().to_string();
    let expected = greeting
        .replace(address, "127.0.0.1:3000")
        .replace(token, "eyJhbGci…")
        .replace(&key, "/home/me/.local/share/talaria/dev.key");
    let shown = format!("$ talaria dev\n{expected}```");
    assert!(read("docs/getting-started.md").contains(&shown), "{shown}");
}
