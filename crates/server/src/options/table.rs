//! The table of options; those of inner blocks are in [`super::blocks`], budgets in [`super::limits`].

use super::{Apply, Opt, Section, connections, directive, identity, transport};

pub(super) const fn row(section: Section, directive: &'static str, arguments: &'static str) -> Opt {
    Opt {
        section,
        directive,
        arguments,
        variables: &[],
        flag: "",
        default: "",
        doc: "",
        apply: None,
    }
}

const fn hub(directive: &'static str, arguments: &'static str, apply: Apply) -> Opt {
    let mut row = row(Section::Hub, directive, arguments);
    row.apply = Some(apply);
    row
}

/// The options of the process and of the `mercure` block, in the order of the reference page.
pub const OPTIONS: &[Opt] = &[
    Opt {
        variables: &["SERVER_NAME"],
        flag: "address",
        default: "localhost",
        doc: "Addresses to listen on, separated by spaces or commas: `localhost` (HTTPS on 443 with a \
              certificate of the local authority), `localhost:8443`, `:80`, `http://hub.example:80`, \
              `name:80`. A host, be it an IP address, restricts the requests that are answered and not the \
              interface, which `bind` and `default_bind` do; port 0 lets the system choose. In a file: \
              the site's addresses.",
        ..row(Section::Process, "", "")
    },
    Opt {
        variables: &["MERCURE_EXTRA_DIRECTIVES"],
        default: "none",
        doc: "Without a file: directives of the `mercure` block, one a line.",
        ..row(Section::Process, "", "")
    },
    Opt {
        default: "the issuer of `MERCURE_TRUSTED_ISSUERS` with the keys of the two key variables",
        doc: "Accepts tokens whose `iss` is exactly this identifier, with the keys of its `publisher` \
              and `subscriber` blocks. Repeatable.",
        ..hub("issuer", "<identifier> { … }", directive::issuer)
    },
    Opt {
        default: "none",
        doc: "The publishers' key as in Mercure 0.x. It makes the hub classic: it accepts both generations \
              of the protocol and answers each in its own.",
        ..hub(
            "publisher_jwt",
            "<key> [<algorithm>]",
            directive::publisher_jwt,
        )
    },
    Opt {
        default: "none",
        doc: "The subscribers' key as in Mercure 0.x.",
        ..hub(
            "subscriber_jwt",
            "<key> [<algorithm>]",
            directive::subscriber_jwt,
        )
    },
    Opt {
        default: "none",
        doc: "The publishers' key set as in Mercure 0.x; stands above `publisher_jwt`.",
        ..hub(
            "publisher_jwks_url",
            "<url> [<algorithm>…]",
            directive::publisher_jwks_url,
        )
    },
    Opt {
        default: "none",
        doc: "The subscribers' key set as in Mercure 0.x; stands above `subscriber_jwt`.",
        ..hub(
            "subscriber_jwks_url",
            "<url> [<algorithm>…]",
            directive::subscriber_jwks_url,
        )
    },
    Opt {
        default: "2MiB",
        doc: "With `subscriptions`: the bytes of all subscription events of one subscription request, its \
              ends and the payload in each included, at most; beyond it 400. There is room for 256 \
              matchers of 200 bytes, or of 20 and a payload of 500 in the token.",
        ..hub(
            "subscription_events_per_request",
            "<size>",
            directive::subscription_events_per_request,
        )
    },
    Opt {
        default: "1MiB",
        doc: "With `subscriptions`: the bytes of subscription events in a second for one client (the \
              subject of its token, else its address), after sixteen seconds' worth at once. What exceeds \
              it is announced later, or never if it has ended by then; `0` sets no bound.",
        ..hub(
            "subscription_events_per_second",
            "<size>",
            directive::subscription_events_per_second,
        )
    },
    Opt {
        default: "off",
        doc: "Publishes an update when a subscription begins or ends, and lists the active ones under \
              `/.well-known/mercure/subscriptions`. With `token_holders` those of anonymous subscribers \
              are left out.",
        ..hub("subscriptions", "[token_holders]", directive::subscriptions)
    },
    Opt {
        default: "off",
        doc: "A hub to play with: anonymous, with `subscriptions`, every origin allowed unless \
              `cors_origins` and `publish_origins` say otherwise, cookie `mercure_access_token`, and a \
              well-known key where none is given. Not for public hubs.",
        ..hub("playground", "", directive::playground)
    },
    Opt {
        default: "every origin",
        doc: "The only URLs under which requests are answered, by scheme, host and port as this hub \
              receives them; others get 421.",
        ..hub("public_urls", "<url>…", identity::public_urls)
    },
    Opt {
        default: "none",
        doc: "The addresses or ranges of proxies (`private_ranges` for those of private networks) whose \
              `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-For` say how a client asked, and which it \
              is; the same as \
              `servers { trusted_proxies static … }` in the global options.",
        ..hub("trusted_proxies", "<range>…", identity::trusted_proxies)
    },
    Opt {
        default: "none",
        doc: "What the `aud` of a token may contain besides the resource identifier, such as the URL by \
              which publishers inside a network reach the hub.",
        ..hub("accepted_audiences", "<url>…", identity::accepted_audiences)
    },
    Opt {
        default: "any time",
        doc: "How long a token may live, from its `iat` (or the present, if it has none, or one more than a minute ahead) to its `exp`; a longer \
              one is refused, and so is one of Mercure 0.x without `exp`. 0 for any time.",
        ..hub(
            "max_token_lifetime",
            "<duration>",
            directive::max_token_lifetime,
        )
    },
    Opt {
        default: "off: stored again, as the specification says",
        doc: "How long a publish with the same `id` by the same token subject (`sub`) is answered with that id \
              and not stored again, so that a publisher may repeat what was never answered.",
        ..hub("repeat_window", "<duration>", directive::repeat_window)
    },
    Opt {
        default: "none",
        doc: "The transport as a URL, as in older files; deprecated, use `transport`.",
        ..hub("transport_url", "<url>", directive::transport_url)
    },
    Opt {
        doc: NO_EFFECT,
        ..hub("name", "<label>", directive::name)
    },
    Opt {
        doc: NO_PAGES,
        ..hub("ui", "", directive::user_interface)
    },
    Opt {
        doc: NO_PAGES,
        ..hub("demo", "", directive::user_interface)
    },
    Opt {
        doc: NO_PAGES,
        ..hub("debugger", "", directive::user_interface)
    },
    Opt {
        default: "none: 1.0 alone where an issuer is named, else both",
        doc: "`8` accepts clients and tokens of Mercure 0.x beside those of 1.0 and answers as 1.0 does. `7` \
              also lets 0.x publishers publish public updates that their tokens do not grant.",
        ..hub(
            "protocol_version_compatibility",
            "7|8",
            directive::compatibility,
        )
    },
    Opt {
        default: "off",
        doc: "Lets subscribers in without a token; they receive public updates only.",
        ..hub("anonymous", "[on|off]", directive::anonymous)
    },
    Opt {
        default: "`__Secure-mercure_access_token`",
        doc: "The cookie that carries the token of browsers. On a site without TLS it is read with and \
              without the `__Secure-` prefix.",
        ..hub("cookie_name", "<name>", directive::cookie_name)
    },
    Opt {
        default: "derived from each request",
        doc: "The absolute URL that tokens must name in `aud`. Set it behind a proxy that does TLS.",
        ..hub(
            "resource_identifier",
            "<url>",
            identity::resource_identifier,
        )
    },
    Opt {
        default: "40s",
        doc: "Silence on a stream after which a comment is sent; `0s` never.",
        ..hub("heartbeat", "<duration>", directive::heartbeat)
    },
    Opt {
        default: "600s",
        doc: "Age at which a stream is ended, give or take a jitter, so that its client reconnects; \
              `0s` never.",
        ..hub("write_timeout", "<duration>", directive::write_timeout)
    },
    Opt {
        default: "5s",
        doc: "Time without progress after which a reader that does not read is dropped; `0s` never.",
        ..hub(
            "dispatch_timeout",
            "<duration>",
            directive::dispatch_timeout,
        )
    },
    Opt {
        default: "3s",
        doc: "At shutdown each stream ends at a random moment of this window; `0s` ends all at once.",
        ..hub("drain_timeout", "<duration>", directive::drain_timeout)
    },
    Opt {
        default: "1MiB",
        doc: "Largest body of a request; a larger one is answered 413. `0` leaves a bound of 10 MiB.",
        ..hub(
            "max_request_body_size",
            "<size>",
            directive::max_request_body_size,
        )
    },
    Opt {
        default: "256KiB",
        doc: "Largest body of a `QUERY` without a token, whatever `max_request_body_size` says; a larger one is \
              answered 413.",
        ..hub(
            "max_anonymous_body_size",
            "<size>|off",
            connections::max_anonymous_body_size,
        )
    },
    Opt {
        default: "what the limit of open files leaves",
        doc: "Open connections in all; the last fifth is for addresses that have few. At the limit idle \
              connections are closed for new ones; without any, a new one is answered 503, but for `/healthz`.",
        ..hub("max_connections", "<n>|off", connections::max_connections)
    },
    Opt {
        default: "off",
        doc: "Open connections of one address (IPv6: one /64), but those of `trusted_proxies`.",
        ..hub(
            "max_connections_per_address",
            "<n>|off",
            connections::max_connections_per_address,
        )
    },
    Opt {
        default: "a quarter of `max_connections`",
        doc: "TLS handshakes under way in all; the last fifth is for addresses that have few. Further \
              connections are closed.",
        ..hub("max_handshakes", "<n>|off", connections::max_handshakes)
    },
    Opt {
        default: "250",
        doc: "Requests and streams of one HTTP/2 connection at a time; its client is told, and further ones wait.",
        ..hub(
            "max_streams_per_connection",
            "<n>",
            connections::max_streams_per_connection,
        )
    },
    Opt {
        default: "10s",
        doc: "How long a TLS handshake, the first request's head, and any head once it has begun may take; \
              a head that takes longer is answered 408.",
        ..hub("header_timeout", "<duration>", connections::header_timeout)
    },
    Opt {
        default: "128KiB",
        doc: "Largest head of a request, with its target; a larger one is answered 431.",
        ..hub("max_header_size", "<size>", connections::max_header_size)
    },
    Opt {
        default: "100",
        doc: "Header fields of a request, 1,000 at most; more are answered 431. The lines into which HTTP/2 splits `Cookie` \
              count as one.",
        ..hub("max_header_fields", "<n>", connections::max_header_fields)
    },
    Opt {
        default: "64MiB",
        doc: "Memory of all heads of which the rest has not come, and of large heads of requests under way; \
              the last fifth is for addresses that have few. Beyond it, 503.",
        ..hub(
            "max_header_memory",
            "<size>|off",
            connections::max_header_memory,
        )
    },
    Opt {
        variables: &["MERCURE_TRANSPORT_URL"],
        default: "bolt",
        doc: "Where updates are kept: `bolt` on disk, `memory` the latest for resuming, `local` none. \
              The variable, deprecated, takes `bolt:///absolute.db?size=…`, `bolt://relative.db` or \
              `local://local`, and counts only when no `transport` is configured.",
        ..hub(
            "transport",
            "bolt|memory|local [{ … }]",
            transport::transport,
        )
    },
    Opt {
        variables: &["MERCURE_CORS_ALLOWED_ORIGINS"],
        default: "none: no CORS headers",
        doc: "Origins whose scripts may use the hub: `*`, `null`, `https://app.example`, \
              `https://*.app.example`. Without credentials where any foreign page could be one of them: `*`, \
              `null`, a wildcard over a public suffix such as `https://*.com`. The variable counts only when the \
              directive is not used.",
        ..hub("cors_origins", "<origin>…", directive::cors_origins)
    },
    Opt {
        default: "none: the hub's own origin only",
        doc: "Origins whose pages may publish with the cookie.",
        ..hub("publish_origins", "<origin>…", directive::publish_origins)
    },
    Opt {
        default: "256",
        doc: "Matchers in one subscription, at most; beyond it 400.",
        ..hub(
            "matchers_per_request",
            "<n>",
            directive::matchers_per_request,
        )
    },
    Opt {
        default: "100",
        doc: "Mercure entries in one token's `authorization_details`, at most; beyond it 401.",
        ..hub("details_per_token", "<n>", directive::details_per_token)
    },
    Opt {
        default: "256",
        doc: "Topics over all Mercure entries of one token, at most; beyond it 401.",
        ..hub("topics_per_token", "<n>", directive::topics_per_token)
    },
    Opt {
        doc: NO_EFFECT,
        ..hub("topic_matcher_cache", "<n>", directive::cache_size)
    },
    Opt {
        doc: NO_EFFECT,
        ..hub(
            "topic_selector_cache",
            "<n> [<shards>]",
            directive::cache_size,
        )
    },
    Opt {
        doc: NO_EFFECT,
        ..hub("lru_cache", "<n> [<shards>]", directive::cache_size)
    },
    Opt {
        doc: NO_EFFECT,
        ..hub(
            "subscriber_list_cache_size",
            "<n>",
            directive::list_cache_size,
        )
    },
];

const NO_PAGES: &str = "No effect yet: there is no user interface.";
const NO_EFFECT: &str =
    "Accepted for existing files, without effect: matching needs no cache to size.";
