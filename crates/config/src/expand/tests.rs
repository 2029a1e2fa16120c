//! What snippets, imports and their arguments become.

use std::path::{Path, PathBuf};

use crate::lexer::tests::text;
use crate::settings::Notice;
use crate::text::Unset;
use crate::tree::{Document, Line, parse};

use super::{Reader, expand};

/// A folder of these files, which is removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("talaria-expand-{}-{name}", std::process::id());
        let this = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&this.0).unwrap();
        for (path, text) in files {
            let path = this.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        this
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, Default)]
struct Told {
    unset: Vec<Unset>,
    notices: Vec<Notice>,
}

fn read(source: &str, folder: &Path, told: &mut Told) -> Result<Document, String> {
    let mut reader = Reader {
        environment: &|name| (name == "SET").then(|| "value".to_owned()),
        unset: &mut told.unset,
        notices: &mut told.notices,
        read: &mut Vec::new(),
    };
    let document = parse(&text(source)).unwrap();
    expand(document, &mut reader, folder).map_err(|error| error.to_string())
}

/// Lines as text: words separated by spaces (`_` where they hold one), blocks in braces.
fn shown(lines: &[Line]) -> String {
    let line = |line: &Line| {
        let words = std::iter::once(&line.name).chain(&line.args);
        let words: Vec<_> = words.map(|word| word.text.replace(' ', "_")).collect();
        let block = line
            .block
            .as_deref()
            .map(|block| format!(" {{{}}}", shown(block)));
        words.join(" ") + &block.unwrap_or_default()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn lines(source: &str) -> String {
    shown(
        &read(source, Path::new("/nowhere"), &mut Told::default())
            .unwrap()
            .lines,
    )
}

fn error_in(source: &str, folder: &Path) -> String {
    read(source, folder, &mut Told::default()).unwrap_err()
}

fn error(source: &str) -> String {
    error_in(source, Path::new("/nowhere"))
}

/// A snippet stands for its lines, wherever it is imported, and above its definition, too (B-282).
#[test]
fn snippets() {
    assert_eq!(
        lines("(a) {\n x y\n z {\n  w\n }\n}\nb {\n import a\n}"),
        "b {x y; z {w}}"
    );
    assert_eq!(lines("import a\n(a) {\n x\n}\nimport a"), "x; x");
    assert_eq!(
        lines("(a) {\n x\n import b\n}\n(b) {\n y\n}\nimport a"),
        "x; y"
    );
    assert_eq!(lines("\"(a)\" {\n}\n\"import\" a"), "(a) {}; import a");
    let document = "{\n import a\n}\n(a) {\n debug\n}\n:80";
    let document = read(document, Path::new(""), &mut Told::default()).unwrap();
    assert_eq!(shown(&document.global.unwrap().1), "debug");
}

/// Arguments replace their placeholders within words, in quotes, in blocks and in nested imports.
#[test]
fn arguments() {
    let with = |body: &str, args: &str| lines(&format!("(a) {{\n {body}\n}}\nimport a {args}"));
    assert_eq!(with("x {args[0]} {args[1]}", "1 2 3"), "x 1 2");
    assert_eq!(
        with("x {args[1:]}|{args[:]} {args[:1]} {args[1:2]}", "1 2 3"),
        "x 2_3|1_2_3 1 2"
    );
    assert_eq!(with("x {args[:]} y", "1 \"2 3\""), "x 1 2_3 y");
    assert_eq!(with("x \"{args[:]}\" y", "1 2"), "x 1_2 y");
    assert_eq!(with("x {args[:]} {args[1:]}", "1"), "x 1");
    assert_eq!(with("{args[:]}\n y", ""), "y");
    assert_eq!(with("x{args.0} {\n  {args[:]}\n }", "1 2"), "x1 {1 2}");
    assert_eq!(
        with("x {args} {argsy[0]} {args[0]", "1"),
        "x {args} {argsy[0]} {args[0]"
    );
    // What an argument holds is not replaced again.
    assert_eq!(with("x {args[0]}", "{args[0]}"), "x {args[0]}");
    let nested = "(a) {\n x {args[:]}\n}\n(b) {\n import a {args[1]} {args[0]}\n}\nimport b 1 2";
    assert_eq!(lines(nested), "x 2 1");
}

#[test]
fn a_placeholder_without_its_argument_is_an_error() {
    for (placeholder, args, expected) in [
        (
            "{args[1]}",
            "1",
            "`1` is not an argument: the import at Caddyfile:4:1 has one argument",
        ),
        ("y{args[2:]}", "1", "`2:` is not an argument"),
        ("{args[0]}", "", "has no argument"),
        ("{args.2}", "1 2", "has 2 arguments"),
        ("{args[2:1]}", "1 2", "`2:1` is not an argument"),
        ("{args[-1]}", "1", "`-1` names no argument of an import"),
        ("{args.x}", "1", "`x` names no argument of an import"),
    ] {
        let error = error(&format!("(a) {{\n x {placeholder}\n}}\nimport a {args}"));
        let starts = error.starts_with("Caddyfile:2:4: ");
        assert!(starts && error.contains(expected), "{placeholder}: {error}");
        assert!(
            error.lines().count() > 3,
            "{placeholder} has a remedy: {error}"
        );
    }
    let unnamed = error("(a) {\n {args[:]} {\n }\n}\nimport a");
    assert!(
        unnamed.contains("no argument names this block"),
        "{unnamed}"
    );
}

/// No message shows an argument's line, of which a word may be a key.
#[test]
fn arguments_keep_their_place_and_hide_their_line() {
    let source = "(a) {\n x {args[1]}\n}\nimport a secret y";
    let document = read(source, Path::new(""), &mut Told::default()).unwrap();
    let error = document.lines[0].args[0].error("wrong");
    assert_eq!(error.to_string(), "Caddyfile:4:17: wrong");
}

/// The lines in the braces of an import, or of one of its blocks, go where the snippet says.
#[test]
fn blocks() {
    let with = |body: &str, block: &str| {
        lines(&format!(
            "(s) {{\n i\n}}\n(a) {{\n x\n {body}\n}}\nimport a 1 {{\n{block}\n}}"
        ))
    };
    assert_eq!(with("{block}", "b c\nd {\n e\n}"), "x; b c; d {e}");
    assert_eq!(with("y {\n {block}\n {block}\n }", "b"), "x; y {b; b}");
    assert_eq!(
        with("{blocks.d} \n{blocks.z}", "b\nd {\n e\n f\n}"),
        "x; e; f"
    );
    assert_eq!(
        with("{block}", "import s\n\"{args[0]}\""),
        "x; i; {args[0]}"
    );
    assert_eq!(with("\"{block}\"", "b"), "x; {block}");
    let nested =
        "(a) {\n x {\n {block}\n }\n}\n(b) {\n import a {\n {block}\n }\n}\nimport b {\n y\n}";
    assert_eq!(lines(nested), "x {y}");
    assert_eq!(lines("(a) {\n x\n {block}\n}\nimport a"), "x");
}

fn example(name: &str) -> Folder {
    Folder::new(
        name,
        &[
            (
                "a.conf",
                "\u{feff}x {$SET} {$NONE}y {args[0]}\nimport sub/b.conf\nimport s 2",
            ),
            (
                "sub/b.conf",
                "import c.conf\n(s) {\n s {args[0]}\n import c.conf\n}",
            ),
            ("sub/c.conf", "c"),
            ("d/1.conf", "one"),
            ("d/2.conf", "two {\n}\nimport 1.conf"),
            ("d/.3.conf", "hidden"),
            ("d/4.conf~", "backup"),
            ("d/5.conf/file", "in a folder"),
            ("wrong.conf", "x {"),
            ("global.conf", "{\n debug\n}\nx"),
        ],
    )
}

/// Paths are relative to the file that imports; the variables of a file are replaced, and places name it.
#[test]
fn files() {
    let folder = example("files");
    let told = &mut Told::default();
    let document = read(
        "b {\n import a.conf 1\n}\nimport sub/c.conf",
        &folder.0,
        told,
    )
    .unwrap();
    assert_eq!(shown(&document.lines), "b {x value y 1; c; s 2; c}; c");
    let place = &document.lines[0].block.as_ref().unwrap()[1].name.place;
    assert_eq!(
        place.to_string(),
        format!("{}/sub/c.conf:1:1", folder.0.display())
    );
    assert_eq!(told.unset.len(), 1);
    assert!(told.unset[0].place.to_string().ends_with("a.conf:1:10"));
    assert_eq!(told.notices, []);
}

/// Marks stand for any text of a file's name, but not for its first dot.
#[test]
fn several_files() {
    let folder = example("several");
    let told = &mut Told::default();
    let document = read("import d/*.conf\nimport d/?.conf", &folder.0, told).unwrap();
    assert_eq!(shown(&document.lines), "one; two {}; one; one; two {}; one");
    let absolute = format!("import {}/d/1*", folder.0.display());
    assert_eq!(
        shown(&read(&absolute, Path::new("/nowhere"), told).unwrap().lines),
        "one"
    );
    assert_eq!(told.notices, []);
    assert!(
        read("import none/*\nimport d/*.none", &folder.0, told)
            .unwrap()
            .lines
            .is_empty()
    );
    let expected = format!(
        "Caddyfile:1:8: no file matches `{}/none/*`",
        folder.0.display()
    );
    assert_eq!(told.notices[0], Notice::info(expected));
    assert_eq!(told.notices.len(), 2);
}

/// An imported file may begin with the global options if nothing precedes them.
#[test]
fn global_options_of_a_file() {
    let folder = example("global");
    let document = read("import global.conf\ny", &folder.0, &mut Told::default()).unwrap();
    assert_eq!(shown(&document.global.unwrap().1), "debug");
    for (source, expected) in [
        ("x\nimport global.conf", "must stand first"),
        (
            "{\n}\nimport global.conf",
            "global.conf:1:1: this block has no name",
        ),
        (
            "x {\n import global.conf\n}",
            "global.conf:1:1: this block has no name",
        ),
        (
            "import wrong.conf",
            "wrong.conf:1:3: this block is never closed",
        ),
        ("import d", "it is a folder, a pipe or a device"),
        ("import */x", "only the last part of an imported path"),
        (
            "import a.conf",
            "a.conf:1:19: `0` is not an argument: the import at Caddyfile:1:1",
        ),
    ] {
        let error = error_in(source, &folder.0);
        assert!(error.contains(expected), "{source}: {error}");
    }
}

#[test]
fn what_is_wrong_with_an_import_is_told() {
    for (source, expected) in [
        (
            "import",
            "Caddyfile:1:1: `import` needs the name of a snippet or a file",
        ),
        (
            "(limits) {\n}\nimport limit",
            "Caddyfile:3:8: there is neither a snippet `limit` nor a file `/nowhere/limit`",
        ),
        ("(limits) {\n}\nimport limit", "did you mean `limits`?"),
        ("import x/y.conf", "a file `/nowhere/x/y.conf`"),
        (
            "(a) {\n}\n(a) {\n}",
            "Caddyfile:3:1: the snippet `a` is already defined at Caddyfile:1:1",
        ),
        (
            "(a b) {\n}",
            "Caddyfile:1:1: a snippet is defined by its name in parentheses",
        ),
        ("() {\n}", "a snippet is defined by its name"),
        ("(a)", "a snippet is defined by its name"),
        (
            "x {\n (a) {\n }\n}",
            "Caddyfile:2:2: a snippet is defined within a block",
        ),
    ] {
        let error = error(source);
        assert!(error.contains(expected), "{source}: {error}");
    }
}

/// Cycles end at the bound of the depth, and their names are told.
#[test]
fn imports_are_bounded() {
    let cycle = error("(a) {\n import b\n}\n(b) {\n import a\n}\nimport a");
    assert!(
        cycle.contains("these imports are a cycle: a, b, a"),
        "{cycle}"
    );
    let folder = Folder::new("cycle", &[("a", "x {\n import b\n}"), ("b", "import a")]);
    let cycle = error_in("import a", &folder.0);
    assert!(
        cycle.contains("/a`, `") && cycle.contains("/b`, `"),
        "{cycle}"
    );

    let chain = |count: usize| -> String {
        let snippet = |n| format!("(a{n}) {{\n import a{}\n}}\n", n + 1);
        (1..count).map(snippet).collect::<String>() + &format!("(a{count}) {{\n x\n}}\nimport a1")
    };
    assert_eq!(lines(&chain(16)), "x");
    assert!(error(&chain(17)).contains("imports are nested deeper than 16"));

    let doubling = |line: &str, rest: &str| -> String {
        let snippet = |n| {
            let import = line.replace("NEXT", &format!("a{}", n + 1));
            format!("(a{n}) {{\n {import}\n {import}\n}}\n")
        };
        (1..16).map(snippet).collect::<String>()
            + &format!("(a16) {{\n{rest}\n}}\nimport a1 xxxxxxxx")
    };
    let many = error(&doubling("import NEXT", "x"));
    assert!(many.contains("more than 20000 lines"), "{many}");
    let empty = error(&doubling("import NEXT", ""));
    assert!(empty.contains("more than 20000 lines"), "{empty}");
    let text = "{args[0]}".repeat(20);
    let long = error(&doubling(&format!("import NEXT {text}"), ""));
    assert!(long.contains("more than 16 MiB of imported text"), "{long}");
    let words = "{args[:]} ".repeat(20);
    let long = error(&doubling(&format!("import NEXT {words}"), ""));
    assert!(long.contains("more than 16 MiB of imported text"), "{long}");
    let deep = format!(
        "(a) {{\n x {{\n {{block}}\n }}\n}}\n{}y{}",
        "import a {\n".repeat(15),
        "\n}".repeat(15)
    );
    assert!(lines(&deep).ends_with(&format!("y{}", "}".repeat(15))));
    let nest = format!("{}import b\n{}", "x {\n".repeat(20), "}\n".repeat(20));
    let nested = format!("(b) {{\n{}}}\n", nest.replace("import b", "y"));
    assert!(error(&(nested + &nest)).contains("imports nest blocks deeper than 32"));
}

#[test]
fn files_are_bounded() {
    let folder = Folder::new("bounds", &[("large", &"#".repeat((1 << 20) + 1))]);
    let large = error_in("import large", &folder.0);
    assert!(large.contains("more than 1048576 bytes"), "{large}");
    for n in 0..257 {
        std::fs::write(folder.0.join(format!("{n}.conf")), "x").unwrap();
    }
    let many = error_in("import *.conf", &folder.0);
    assert!(many.contains("more than 256 files"), "{many}");
    let many = error_in(
        "import 1*.conf\nimport ?.conf\nimport ??.conf\nimport ???.conf",
        &folder.0,
    );
    assert!(many.contains("more than 256 imported files"), "{many}");
}
