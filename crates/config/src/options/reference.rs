//! The reference page of the configuration, from the table of options.

use std::fmt::Write as _;

use super::row::{Effect, Row, Section};
use super::table::all;
use super::transports;
use crate::storage::Kind;
use crate::{global, routes};

const INTRODUCTION: &str = "\
# Configuration

This page is made from the program's table of options. To renew it:
`cargo run -p talaria-server -- reference > docs/configuration.md`

Talaria is configured by a file or by the environment.

- **With a file** (`--config PATH`, or `./Caddyfile` where it exists) the file alone counts. It holds
  [sites](sites.md), one at least with a `mercure` block; a variable acts where the file names it: `{$NAME}` or
  `{$NAME:default}` anywhere (replaced before the text is read), `{env.NAME}` and `{file.PATH}` in a
  key or its algorithm, and in the URL, users and passwords of `transport redis` and `transport postgres`. Only a `mercure` block that names no key and no issuer takes the key variables and
  `MERCURE_TRUSTED_ISSUERS` as without a file. `MERCURE_TRANSPORT_URL` and
  `MERCURE_CORS_ALLOWED_ORIGINS` are read in both cases, where no directive says otherwise.
- **Without a file** the variables below act by themselves; a directive of `MERCURE_EXTRA_DIRECTIVES` takes
  precedence over the variable for the same thing.
- **Flags** win over both.

Variables that are set and not read are listed in the log, and so are misspelt ones and those of older versions. A
variable that the file names and that is not set is named where it is part of a word, or a directive's only value.

```caddyfile
:80 {
    mercure {
        issuer https://localhost {
            publisher {
                jwt {env.MERCURE_PUBLISHER_JWT_KEY} {env.MERCURE_PUBLISHER_JWT_ALG}
            }
            subscriber {
                jwt {env.MERCURE_SUBSCRIBER_JWT_KEY} {env.MERCURE_SUBSCRIBER_JWT_ALG}
            }
        }
        heartbeat 30s
        transport memory {
            max_bytes 64MiB
        }
    }
}
```

Durations are numbers with units `ns us ms s m h d` (`1m30s`); sizes are numbers with an optional unit,
`KB MB GB` in powers of 1000 and `KiB MiB GiB` in powers of 1024. A directive that is written twice
keeps its last value, lists included; `issuer` blocks add up. The items of a list are separated by spaces, commas or
both, in a directive and in a variable; other notations, such as brackets and single quotes, are refused with the
right form.

## Snippets, imports and long texts

Lines that several places need stand once, in a snippet or in another file, and `import` puts them in:

```caddyfile
(limits) {
    heartbeat {args[0]}
    max_connections {args[1]}
    {block}
}

:80 {
    mercure {
        import limits 30s 5000 {
            anonymous
        }
        import keys/*.conf
    }
}
```

- **A snippet** is `(name) { … }` at the top level of a file. `import name` stands for its lines, in any block.
- **A file** is named by a path relative to the folder of the file with the `import` (for standard input and variables:
  the working directory). `*` and `?` may stand in the path's last part; the files are read in the order of their
  names, without those that begin with a dot. An imported file may define snippets and import others.
- **Arguments** follow the name: `{args[0]}` is the first, `{args[1:]}` all others, `{args[:]}` all. Alone and without
  quotes these become several words. `{block}`, alone on a line, stands for the lines in the braces of the `import`,
  and `{blocks.NAME}` for those of the block `NAME` in it.
- **Bounds**: imports 16 deep, 256 files of at most 1 MiB, 16 MiB in all, 20,000 lines.

A text of several lines stands between `<<NAME` at the end of a line and a line that begins with `NAME`. The white
space before that `NAME` is removed from each line. Write `\\<<` for a word that begins with `<<`:

```caddyfile
:80 {
    mercure {
        anonymous
        publisher_jwt <<PEM
            -----BEGIN PUBLIC KEY-----
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
            -----END PUBLIC KEY-----
            PEM EdDSA
    }
}
```

`talaria validate` and a start tell everything that is wrong at once, in the order of the file.
";

const LIMITS: &str = "
Directives of the `mercure` block, too. What each protects, and how the shares of clients are found, is in
[limits.md](limits.md). `off` and `0` stand for no bound.
";

const SITE: &str = "
## Directives of the site

In a file, beside the `mercure` block; without a file, in the variable `CADDY_SERVER_EXTRA_DIRECTIVES`. [sites.md](sites.md)
explains in which order they are asked, and which requests they are for.

| Directive | |
|---|---|
| `bind <IP address>…` | the interfaces to listen on, the port of the redirects included; without it all of them |
| `tls internal`, `tls <email address>`, `tls <certificate> <key>`, `tls { … }` | see [HTTPS](https.md#public-names) |
| `log [<name>] [{ output … format … level … hostnames … }]` | each request has a line in a [log](logs.md#requests), without its token |
| `log_skip [<matcher>]` | these requests have none; `skip_log` in older files |
| `log_append [<matcher>] <field> <value>` | a field more in the line |
| `log_name [<matcher>] <name>…` | another log has the line |
| `respond [<matcher>] [<body>] [<status>]` | a fixed answer |
| `redir [<matcher>] <to> [permanent\\|temporary\\|<status>]` | a redirect, 302 unless another status is given |
| `error [<matcher>] [<message>] [<status>]` | an error, 500 unless another status is given |
| `handle_errors [<status>…] { … }` | the answers to errors of directives, files and other servers, for these statuses (`404`, `5xx`) or all |
| `abort [<matcher>]` | ends the connection without an answer |
| `header [<matcher>] [+\\|-\\|?\\|>]<field> [<value>]` | changes a field of the answer |
| `request_header [<matcher>] [+\\|-]<field> [<value>]` | changes a field of the request |
| `request_body [<matcher>] { max_size <size> }` | a longer body is refused with 413 |
| `basic_auth [<matcher>] [bcrypt [<realm>]] { <user> <hash>… }` | only these users go on; `basicauth` in older files |
| `vars [<matcher>] <name> <value>` | sets `{vars.NAME}` for the directives that follow |
| `method [<matcher>] <method>` | another method, for the directives that follow |
| `rewrite [<matcher>] <target>` | another path, and query if it has one, for the directives that follow |
| `uri [<matcher>] strip_prefix\\|strip_suffix <text>` | takes off the beginning or the end of the path |
| `root * <folder>` | the folder of `file_server` and `try_files`, in this block and those within it |
| `try_files [<matcher>] <target>… [=<status>]` | another path: the first target that is a file, for example `{path} /index.html`; if none is, the path stays, or the status is answered |
| `file_server [<matcher>] [{ root … index … hide … }]` | the files of the folder; never a list of them, a name that begins with a dot, or what a link leads to outside of it |
| `reverse_proxy [<matcher>] <upstream>… [{ to … lb_policy … header_up … header_down … }]` | another server answers; `host:port`, `http://…` or `https://…`, several by chance or `round_robin`; `header_up <field> {upstream_hostport}` names it to itself |
| `encode [<matcher>] zstd\\|br\\|gzip…` | compresses answers, never event streams |
| `handle [<matcher>] { … }`, `handle_path <path> { … }` | of those beside each other only the first that fits is asked; `handle_path` takes its path off |
| `route [<matcher>] { … }` | asks its directives in the order in which they are written |
| `metrics [<matcher>] [{ disable_openmetrics }]` | shows the [metrics](metrics.md) of the program to every client that asks; name a path, for example `metrics /metrics`, and keep others out |
| `tracing [{ span <name> span_attributes { <key> <value>… } }]` | traces these requests, by OpenTelemetry: see [tracing](tracing.md), which has the variables `OTEL_…`, too |
";

const GLOBAL: &str = "
## Global options

In the block without a name at the top of a file, or, without a file, in the variable `GLOBAL_OPTIONS`.

| Option | |
|---|---|
| `http_port <port>`, `https_port <port>` | the ports of addresses that name none, 80 and 443 |
| `default_bind <IP address>…` | the interfaces to listen on, unless the site has a `bind` |
| `order <directive> first\\|last\\|before <other>\\|after <other>` | when a directive is asked |
| `debug` | everything is logged, unless a log has a `level` |
| `log [<name>] { output … format … level … include … exclude … }` | the [log](logs.md) of the program, or another one; flags and variables take precedence |
| `auto_https disable_redirects\\|disable_certs\\|off` | nothing is redirected to HTTPS; no certificate comes by itself; neither |
| `email`, `acme_ca`, `acme_ca_root`, `acme_eab`, `cert_issuer`, `local_certs`, `key_type`, `default_sni`, `fallback_sni` | see [HTTPS](https.md#public-names) |
| `ocsp_stapling off`, `preferred_chains`, `renew_interval`, `auto_https ignore_loaded_certs` | accepted, without effect |
| `skip_install_trust` | the root of the local authority is kept out of this machine's store |
| `servers { trusted_proxies static <range>… }` | as the directive `trusted_proxies` |
| `servers { log_credentials }` | the access log has cookies and the fields with tokens |
| `admin off\\|<address> [{ origins <host or origin>… enforce_origin }]` | the [admin listener](operating.md#the-admin-listener), `localhost:2019` unless the variable `CADDY_ADMIN` names another address or `off`; `unix//path` is a socket in the file system |
| `persist_config off` | what is loaded while the hub runs is not kept for `run --resume` |
| `grace_period <duration>` | how long requests under way may take at the end; without it half a second more than `drain_timeout` |
| `metrics [{ per_host }]`, `servers { metrics }` | also counts the requests of sites for the [metrics](metrics.md#requests-of-sites), with `per_host` for each host |
| `shutdown_delay <duration>` | how long the hub goes on serving after it was told to stop, not ready any more |
| `servers { protocols h1 h2 h3 }` | the versions of HTTP that are spoken: without `h3` no listener on UDP and no `Alt-Svc`, without `h2` no HTTP/2; `h1` is always in the list. `h2` also serves clients that speak HTTP/2 without TLS, `h2c` alone only those |
";

/// The page, in Markdown.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (section, title) in [
        (Section::Process, "The process"),
        (Section::Hub, "Directives of the `mercure` block"),
        (Section::Limits, "Limits of what clients may hold"),
        (Section::Issuer, "In an `issuer` block"),
        (Section::Role, "In a `publisher` or `subscriber` block"),
        (Section::Transport, "In a `transport` block"),
    ] {
        page.push_str(&format!("\n## {title}\n"));
        if section == Section::Limits {
            page.push_str(LIMITS);
        }
        for option in all().filter(|option| option.section == section) {
            describe(option, &mut page);
        }
    }
    page.push_str(SITE);
    page.push_str(GLOBAL);
    page.push_str("\n## Not supported yet\n\nRefused by name, never ignored:\n\n");
    for (kind, names) in [
        ("transports", transports::LATER),
        ("global options", global::LATER),
        ("options of `servers`", global::LATER_SERVERS),
        ("directives of the site", routes::LATER),
    ] {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(page, "- {kind}: {}", names.join(", "));
    }
    page
}

fn describe(row: &Row, page: &mut String) {
    let title = match (row.name, row.variables.first()) {
        ("", Some(variable)) => (*variable).to_owned(),
        _ => row.usage(),
    };
    let of = match &row.effect {
        Effect::Transport([kind], _) => format!("`{}` only: ", kind.name()),
        Effect::Transport(kinds, _) if kinds.len() < Kind::ALL.len() => {
            format!("{}: ", Kind::list(kinds))
        }
        _ => String::new(),
    };
    // Writing to a string cannot fail.
    let _ = write!(page, "\n### `{title}`\n\n{of}{}\n\n", row.doc);
    let default = row.default();
    if !default.is_empty() {
        let _ = writeln!(page, "- Default: {default}");
    }
    // A variable that is the title is not said again.
    let named = usize::from(row.name.is_empty());
    if row.variables.len() > named {
        let variables: Vec<String> = row
            .variables
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let _ = writeln!(page, "- Variables: {}", variables.join(", "));
    }
    if !row.flag.is_empty() {
        let _ = writeln!(page, "- Flag: `--{}`", row.flag);
    }
}
