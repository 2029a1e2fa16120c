//! The global options (B-290 to B-299).

use super::{KEYS, try_load};
use crate::settings::Protocols;

/// Global options are read from a file and from `GLOBAL_OPTIONS` (B-290 to B-296).
#[test]
fn global_options_are_read_or_refused() {
    const REST: &str =
        ":80\nmercure {\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n}";
    for (options, expected) in [
        (
            "acme_dns cloudflare",
            "Caddyfile:2:1: certificates by the DNS",
        ),
        ("debgu", "did you mean `debug`?"),
        ("debug on", "takes no argument"),
        ("order mercure", "another form"),
        ("admin :x", "the port is not a number"),
        ("admin {\n origin a\n}", "did you mean `origins`?"),
        ("admin", "needs off or an address"),
        ("persist_config on", "write off"),
        ("grace_period soon", "`soon` is not a duration"),
        ("log {\n levle x\n}", "did you mean `level`?"),
        ("servers {\n protocols h4\n}", "`h4` is not a protocol"),
        ("auto_https none", "auto_https `none` is unknown"),
        ("servers {\n protocols h2 h3\n}", "add h1 to the list"),
        ("experimental_http3 off", "takes no argument"),
        ("http_port 70000", "not a port up to 65535"),
        ("servers :80 {\n}", "`servers` of one listener"),
        ("servers {\n timeouts\n}", "`timeouts` is not supported yet"),
        (
            "servers {\n trusted_proxies static 10.0.0.0/99\n}",
            "neither an address nor a range",
        ),
        (
            "servers {\n trusted_proxies cloudflare\n}",
            "trusted_proxies static",
        ),
    ] {
        let error = try_load(Some(&format!("{{\n{options}\n}}\n{REST}")), &[]).unwrap_err();
        assert!(error.contains(expected), "{options:?} gave {error}");
    }
    let options = "http_port 8080\nhttps_port 8443\nskip_install_trust\nservers {\n trusted_proxies static private_ranges\n}";
    let extra: &[(&str, &str)] = &[
        ("GLOBAL_OPTIONS", options),
        ("SERVER_NAME", "localhost, http://hub.example"),
    ];
    let settings = try_load(None, &[KEYS, extra].concat()).unwrap().settings;
    let addresses = settings.sites[0].addresses.iter();
    let ports: Vec<_> = addresses.map(|one| (one.port, one.tls)).collect();
    assert_eq!(ports, [(8443, true), (8080, false)]);
    assert_eq!(settings.program.redirects, Some(8080));
    assert!(settings.program.skip_install_trust && !settings.program.proxies.is_empty());
}

/// `protocols` is the whole list; the older forms only add to what is on (B-296).
#[test]
fn protocols_are_chosen() {
    let all = Protocols::default();
    let (h2, h2c, h3) = (true, true, false);
    for (options, expected) in [
        ("", all),
        ("experimental_http3", all),
        (
            "servers {\n protocol {\n experimental_http3\n allow_h2c\n }\n}",
            all,
        ),
        ("servers {\n protocols h1 h2 h3\n}", all),
        ("servers {\n protocols h1 h2\n}", Protocols { h2, h2c, h3 }),
        (
            "servers {\n protocols h1 h2c\n}",
            Protocols { h2: false, h2c, h3 },
        ),
        (
            "servers {\n protocols h1\n}",
            Protocols {
                h2: false,
                h2c: false,
                h3,
            },
        ),
    ] {
        let options: &[(&str, &str)] = &[("GLOBAL_OPTIONS", options)];
        let settings = try_load(None, &[KEYS, options].concat()).unwrap().settings;
        assert_eq!(settings.program.protocols, expected, "{options:?}");
    }
}
