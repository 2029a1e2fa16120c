//! The directive `log`, and where the certificates of a name come from.

use std::time::Duration;

use super::{texts, try_load};
use crate::Loaded;
use crate::settings::{AddressMask, LogFileSettings, ParameterChange, RollSettings};

const HUB: &str = "mercure {\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n}";

fn load(body: &str) -> Result<Loaded, String> {
    try_load(Some(&format!(":80 {{\n{body}\n{HUB}\n}}")), &[])
}

/// `log` switches the access log on, and `output discard` off (B-082).
#[test]
fn requests_are_logged_on_request() {
    let access_log = |body: &str| load(body).unwrap().settings.sites[0].access_log.clone();
    assert!(!access_log("").to_program);
    assert!(access_log("log").to_program);
    assert!(!access_log("log {\n output discard\n}").to_program);
    let file = access_log(
        "log {\n output file /a/b.log {\n roll_size 1MiB\n roll_keep 3\n roll_keep_for 2d\n }\n}",
    );
    let roll = RollSettings {
        size: 1 << 20,
        keep: 3,
        keep_for: Duration::from_secs(2 * 24 * 3600),
    };
    let expected = |roll| LogFileSettings {
        path: "/a/b.log".into(),
        roll,
    };
    assert_eq!(file.files, [expected(Some(roll))]);
    assert!(!file.to_program);
    let usual = access_log("log {\n output file /a/b.log {\n roll_keep 0\n }\n}");
    assert_eq!(usual.files, [expected(Some(RollSettings::default()))]);
    let never = access_log("log {\n output file /a/b.log {\n roll_disabled\n }\n}");
    assert_eq!(never.files, [expected(None)]);
    let ignored = load("log {\n output file /a/b.log {\n roll_interval 1h\n }\n}").unwrap();
    let ignored = texts(&ignored);
    assert!(ignored.iter().any(|text| text.contains("roll_interval")));
    let filter = "log {\n format filter {\n fields {\n request>uri query {\n replace authorization REDACTED\n }\n }\n }\n}";
    let loaded = load(filter).unwrap();
    assert!(loaded.settings.sites[0].access_log.to_program);
    assert!(
        texts(&loaded)
            .iter()
            .any(|text| text.contains("without tokens"))
    );
}

/// Filters of the log are honoured, needless, or named.
#[test]
fn the_log_leaves_out_what_it_is_told_to() {
    let body = "log {\n format filter {\n wrap json\n fields {\n uri query {\n replace a X\n delete b\n hash c\n }\n request>headers>Cookie delete\n request>uri regexp x y\n }\n request>remote_ip ip_mask 16 32\n request>client_ip ip_mask {\n ipv4 24\n }\n }\n}";
    let loaded = load(body).unwrap();
    let filter = &loaded.settings.sites[0].access_log.filter;
    let query = [
        ("a", ParameterChange::Replace("X".to_owned())),
        ("b", ParameterChange::Delete),
        ("c", ParameterChange::Hash),
    ];
    assert_eq!(
        filter.query,
        query.map(|(name, change)| (name.to_owned(), change))
    );
    assert_eq!(filter.remote_ip, Some(AddressMask { ipv4: 16, ipv6: 32 }));
    assert_eq!(filter.client_ip, Some(AddressMask { ipv4: 24, ipv6: 0 }));
    let said = texts(&loaded).join("\n");
    assert!(said.contains("`request>uri` `regexp`;"), "{said}");
    assert!(!said.contains("Cookie"), "{said}");
    let wrong = "log {\n format filter {\n request>remote_ip ip_mask 33\n }\n}";
    assert!(load(wrong).unwrap_err().contains("0 to 32"));
}

/// One name with certificates of two sources is told; of one source it is not.
#[test]
fn a_name_has_one_source_of_certificates() {
    let said = |second: &str| {
        let site = "https://a.test {\n tls /c.pem /k.pem\n respond one\n}";
        let other = format!("https://a.test:8443 {{\n tls {second}\n{HUB}\n}}");
        texts(&try_load(Some(&format!("{site}\n{other}")), &[]).unwrap()).join("\n")
    };
    let two = said("internal");
    assert!(two.contains("/c.pem and the local authority"), "{two}");
    let one = said("/c.pem /k.pem");
    assert!(!one.contains("two sources"), "{one}");
}
