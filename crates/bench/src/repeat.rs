//! The command that repeats a measurement.

/// A command line without its secrets, for a shell.
pub(crate) fn without_secrets(arguments: impl Iterator<Item = String>) -> String {
    let mut words = Vec::new();
    let mut secret = false;
    for argument in arguments {
        let option = argument
            .split_once('=')
            .map_or(&*argument, |(name, _)| name);
        let is_key = matches!(option, "--key" | "--subscriber-key");
        words.push(match argument.len() > option.len() {
            _ if std::mem::take(&mut secret) => "'…'".to_owned(),
            true if is_key => format!("{option}='…'"),
            _ => quoted(&argument),
        });
        secret = is_key && argument == option;
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The printed command contains no secret.
    #[test]
    fn secrets_are_left_out() {
        let line =
            "talaria bench --key s3cret --url=http://a/?b --subscriber-key=s3cret --stalled 5";
        let shown = without_secrets(line.split(' ').map(str::to_owned));
        assert_eq!(
            shown,
            "talaria bench --key '…' '--url=http://a/?b' --subscriber-key='…' --stalled 5"
        );
    }
}
