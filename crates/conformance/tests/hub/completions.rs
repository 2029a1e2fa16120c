//! Completions of shells and manual pages, which come from the table behind `--help` (B-017).

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use talaria_conformance::hub::Home;

fn printed(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The verbs that `talaria help` lists.
fn verbs(home: &Home) -> Vec<String> {
    let help = printed(&home.run(&["help"]));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list.lines().map(|line| line.split_whitespace().next());
    names.map(|name| name.unwrap().to_owned()).collect()
}

/// A script for each shell has every verb, also by the existing server's name of the verb.
#[test]
fn completions_have_every_verb() {
    let home = Home::new();
    let verbs = verbs(&home);
    assert!(verbs.len() > 20, "{verbs:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = printed(&home.run(&["completions", shell]));
        for verb in &verbs {
            assert!(script.contains(verb.as_str()), "{shell}: {verb}");
        }
        assert_eq!(printed(&home.run(&["completion", shell])), script);
    }
    assert_eq!(home.run(&["completions", "csh"]).status.code(), Some(1));
}

/// Bash completes a verb and the options of a verb.
#[test]
fn bash_completes() {
    let home = Home::new();
    let script = printed(&home.run(&["completions", "bash"]));
    let complete = |words: &[&str]| {
        let line = words.join(" ");
        let last = words.len() - 1;
        let asked = format!(
            "COMP_WORDS=({line}{})\nCOMP_CWORD={last}\n_talaria talaria {:?} ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            if words[last].is_empty() { " ''" } else { "" },
            words[last],
        );
        let mut bash = Command::new("bash")
            .args(["--norc", "-u", "+u"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = bash.stdin.take().unwrap();
        input.write_all(script.as_bytes()).unwrap();
        input.write_all(asked.as_bytes()).unwrap();
        drop(input);
        printed(&bash.wait_with_output().unwrap())
    };
    assert_eq!(complete(&["talaria", "healthc"]), "healthcheck\n");
    assert_eq!(complete(&["talaria", "reload", "--fo"]), "--force\n");
    let shells = complete(&["talaria", "completions", ""]);
    assert!(shells.contains("fish\n"), "{shells}");
}

/// There is a page for the program and for each verb, with the options that its help has.
#[test]
fn manual_pages() {
    let home = Home::new();
    let page = printed(&home.run(&["man"]));
    assert!(page.contains(".TH talaria 1"), "{page}");
    let folder = home.path().join("man/man1");
    let path = folder.to_str().unwrap();
    for flag in ["--directory", "-o"] {
        assert_eq!(printed(&home.run(&["manpage", flag, path])), "");
    }
    assert_eq!(
        std::fs::read_to_string(folder.join("talaria.1")).unwrap(),
        page
    );
    for verb in verbs(&home).iter().filter(|verb| *verb != "help") {
        let name = folder.join(format!("talaria-{verb}.1"));
        let page = std::fs::read_to_string(&name).expect(verb);
        let help = printed(&home.run(&[verb.as_str(), "--help"]));
        for word in help.split_whitespace() {
            let Some(option) = word.strip_prefix("--") else {
                continue;
            };
            let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let written = option.replace('-', "\\-");
            assert!(page.contains(&written), "{verb}: --{option}");
        }
    }
    assert!(!folder.join("talaria-reference.1").exists());

    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = home.run(&["man", "--directory", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("cannot be written"), "{said}");
}
