//! The options of the `mercure` block.

use super::form::{Form, shown_size};
use super::row::{Preset, Row};
use super::{
    identity, issuers, older_keys, presence, protocol, switches, transport_url, transports,
};
use crate::draft::Draft;

/// What one subscription takes without a payload, and some room for its matcher.
const EVENT_BYTES: u64 = 4 << 10;

/// The directives of the `mercure` block, in the order of the reference page.
pub(crate) const HUB: &[Row] = &[
    Row::directive(
        "issuer",
        "<identifier> { … }",
        issuers::issuer,
        "Accepts tokens whose `iss` is exactly this identifier, with the keys of its `publisher` \
         and `subscriber` blocks. Repeatable.",
    )
    .said("the issuer of `MERCURE_TRUSTED_ISSUERS` with the keys of the two key variables"),
    Row::directive(
        "publisher_jwt",
        "<key> [<algorithm>]",
        older_keys::publisher_jwt,
        "The publishers' key as in Mercure 0.x. It makes the hub classic: it accepts both generations \
         of the protocol and answers each in its own.",
    )
    .said("none"),
    Row::directive(
        "subscriber_jwt",
        "<key> [<algorithm>]",
        older_keys::subscriber_jwt,
        "The subscribers' key as in Mercure 0.x.",
    )
    .said("none"),
    Row::directive(
        "publisher_jwks_url",
        "<url> [<algorithm>…]",
        older_keys::publisher_jwks_url,
        "The publishers' key set as in Mercure 0.x; takes precedence over `publisher_jwt`.",
    )
    .said("none"),
    Row::directive(
        "subscriber_jwks_url",
        "<url> [<algorithm>…]",
        older_keys::subscriber_jwks_url,
        "The subscribers' key set as in Mercure 0.x; takes precedence over `subscriber_jwt`.",
    )
    .said("none"),
    Row::hub(
        "subscription_events_per_request",
        Form::size(EVENT_BYTES, u64::MAX),
        |draft| (&mut draft.hub.presence.bytes_per_request).into(),
        "With `subscriptions`: the maximum number of bytes of all subscription events of one subscription \
         request, its ends and the payload in each included. A request with more is answered with 400. \
         There is room for 256 matchers of 200 bytes, or of 20 and a payload of 500 in the token.",
    ),
    Row::hub(
        "subscription_events_per_second",
        Form::SIZE,
        |draft| (&mut draft.hub.presence.bytes_per_second).into(),
        "With `subscriptions`: the bytes of subscription events in a second for one client (the \
         subject of its token, else its address), after sixteen seconds' worth at once. What exceeds \
         it is announced later, or never if it has ended by then; `0` sets no bound.",
    ),
    Row::directive(
        "subscriptions",
        "[token_holders]",
        presence::subscriptions,
        "Publishes an update when a subscription begins or ends, and lists the active ones under \
         `/.well-known/mercure/subscriptions`. With `token_holders` those of anonymous subscribers \
         are left out.",
    )
    .preset(Preset::Shown(|| {
        switches::shown(Draft::default().hub.subscriptions)
    })),
    Row::hub(
        "busiest_topics",
        Form::Switch,
        |draft| (&mut draft.hub.busiest_topics).into(),
        "Counts updates by their first topic, so that the operations view and `talaria top` show the busiest topics of \
         the last minutes. It takes at most 512 topics of 256 bytes, and a lock for each publish. Who may ask the admin listener sees \
         these topics.",
    ),
    Row::hub(
        "playground",
        Form::Switch,
        |draft| (&mut draft.hub.pages.playground).into(),
        "A hub to play with: anonymous, with `subscriptions`, every origin allowed unless \
         `cors_origins` and `publish_origins` say otherwise, cookie `mercure_access_token`, and a \
         well-known key where none is given. `/` redirects to the `debugger`, whose visitors get a token \
         that grants every topic, and `/playground/` has resources to discover. Not for public hubs.",
    ),
    Row::directive(
        "public_urls",
        "<url>…",
        identity::public_urls,
        "The only URLs under which requests are answered, by scheme, host and port as this hub \
         receives them; others get 421.",
    )
    .said("every origin"),
    Row::directive(
        "trusted_proxies",
        "<range>…",
        identity::trusted_proxies,
        "The addresses or ranges of proxies (`private_ranges` for those of private networks) whose \
         `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-For` say how a client asked, and which it \
         is; the same as `servers { trusted_proxies static … }` in the global options.",
    )
    .said("none"),
    Row::directive(
        "accepted_audiences",
        "<url>…",
        identity::accepted_audiences,
        "What the `aud` of a token may contain besides the resource identifier, such as the URL by \
         which publishers inside a network reach the hub.",
    )
    .said("none"),
    Row::hub(
        "max_token_lifetime",
        Form::DURATION,
        |draft| (&mut draft.hub.max_token_lifetime).into(),
        "How long a token may live, from its `iat` (or the present, if it has none, or one more than a minute ahead) to its `exp`; a longer \
         one is refused, and so is one of Mercure 0.x without `exp`. 0 for any time.",
    )
    .none("any time"),
    Row::hub(
        "repeat_window",
        Form::DURATION,
        |draft| (&mut draft.hub.repeat_window).into(),
        "How long a publish with the same `id` by the same token subject (`sub`) is answered with that id \
         and not stored again, so that a publisher may repeat what was never answered.",
    )
    .none("off: stored again, as the specification says"),
    Row::directive(
        "transport_url",
        "<url>",
        transport_url::directive,
        "The transport as a URL, as in older files; deprecated, use `transport`.",
    )
    .said("none"),
    Row::directive(
        "name",
        "<label>",
        switches::name,
        "The hub's name where a program has several. Hubs of one name share their updates and subscribers; \
         hubs of different names need separate stores.",
    )
    .said("none"),
    Row::hub(
        "ui",
        Form::Switch,
        |draft| (&mut draft.hub.pages.ui).into(),
        "The debugger at `/.well-known/mercure/ui/`, where hubs of 0.x have their page.",
    ),
    Row::hub(
        "demo",
        Form::Switch,
        |draft| (&mut draft.hub.pages.demo).into(),
        "`ui`, and resources to discover below `/.well-known/mercure/ui/demo/`.",
    ),
    Row::hub(
        "debugger",
        Form::Switch,
        |draft| (&mut draft.hub.pages.debugger).into(),
        "A page at `/.well-known/mercure/debug/` that subscribes, publishes, judges tokens and shows the active \
         subscriptions ([debugger.md](debugger.md)). Every visitor reads the names of the trusted issuers there.",
    ),
    Row::directive(
        "protocol_version_compatibility",
        "7|8",
        protocol::compatibility,
        "`8` accepts clients and tokens of Mercure 0.x beside those of 1.0 and answers as 1.0 does. `7` \
         also lets 0.x publishers publish public updates that their tokens do not grant.",
    )
    .said("none: 1.0 alone where an issuer is named, else both"),
    Row::directive(
        "anonymous",
        "[on|off]",
        switches::anonymous,
        "Lets subscribers in without a token; they receive public updates only.",
    )
    .preset(Preset::Shown(|| {
        switches::shown(Draft::default().hub.anonymous)
    })),
    Row::directive(
        "cookie_name",
        "<name>",
        identity::cookie_name,
        "The cookie that carries the token of browsers. On a site without TLS it is read with and \
         without the `__Secure-` prefix.",
    )
    .preset(Preset::Shown(|| {
        format!("`{}`", Draft::default().hub.cookie_name)
    })),
    Row::directive(
        "resource_identifier",
        "<url>",
        identity::resource_identifier,
        "The absolute URL that tokens must name in `aud`. Set it behind a proxy that does TLS.",
    )
    .said("derived from each request"),
    Row::hub(
        "heartbeat",
        Form::DURATION,
        |draft| (&mut draft.hub.heartbeat).into(),
        "Silence on a stream after which a comment is sent; `0s` never.",
    ),
    Row::hub(
        "write_timeout",
        Form::DURATION,
        |draft| (&mut draft.hub.write_timeout).into(),
        "Age at which a stream is ended, give or take a jitter, so that its client reconnects; \
         `0s` never.",
    ),
    Row::hub(
        "dispatch_timeout",
        Form::DURATION,
        |draft| (&mut draft.program.dispatch_timeout).into(),
        "Time without progress after which a reader that does not read is dropped; `0s` never.",
    ),
    Row::hub(
        "drain_timeout",
        Form::DURATION,
        |draft| (&mut draft.program.drain_timeout).into(),
        "At shutdown each stream ends at a random moment of this window; `0s` ends all at once.",
    ),
    Row::directive(
        "max_request_body_size",
        "<size>",
        protocol::max_request_body_size,
        "Largest body of a request; a larger one is answered 413. `0` leaves a bound of 10 MiB.",
    )
    .preset(Preset::Shown(|| {
        shown_size(Draft::default().hub.max_request_body_size as u64)
    })),
    Row::hub(
        "max_anonymous_body_size",
        Form::size(1, u64::MAX).or_off(),
        |draft| (&mut draft.hub.max_anonymous_body_size).into(),
        "Largest body of a `QUERY` without a token, whatever `max_request_body_size` says; a larger one is \
         answered 413.",
    ),
    Row::directive(
        "transport",
        "bolt|memory|local|redis|valkey|postgres|postgresql [{ … }]",
        transports::transport,
        "Where updates are kept: `bolt` on disk, `memory` the latest for resuming, `local` none; these are for one \
         node. `redis`, also called `valkey`, is a server of Redis 7.0 or newer or of Valkey, where several nodes \
         share one log; so is `postgres`, also called `postgresql`, a database of PostgreSQL 15 or newer. \
         The variable, deprecated, takes `bolt:///absolute.db?size=…`, `bolt://relative.db`, \
         `local://local`, `redis://host:6379?stream=…` or `postgres://user@host/database`, and counts only when no `transport` is configured.",
    )
    .or_variable(&["MERCURE_TRANSPORT_URL"], transport_url::variable)
    .said(transports::DEFAULT.name()),
    Row::directive(
        "cors_origins",
        "<origin>…",
        identity::cors_origins,
        "Origins whose scripts may use the hub: `*`, `null`, `https://app.example`, \
         `https://*.app.example`. Without credentials where any foreign page could be one of them: `*`, \
         `null`, a wildcard over a public suffix such as `https://*.com`. The variable counts only when the \
         directive is not used.",
    )
    .or_variable(
        &["MERCURE_CORS_ALLOWED_ORIGINS"],
        identity::cors_origins_variable,
    )
    .said("none: no CORS headers"),
    Row::directive(
        "publish_origins",
        "<origin>…",
        identity::publish_origins,
        "Origins whose pages may publish with the cookie.",
    )
    .said("none: the hub's own origin only"),
    Row::hub(
        "matchers_per_request",
        Form::COUNT,
        |draft| (&mut draft.hub.limits.matchers).into(),
        "The maximum number of matchers in one subscription. A request with more is answered with 400.",
    ),
    Row::hub(
        "details_per_token",
        Form::COUNT,
        |draft| (&mut draft.hub.limits.details).into(),
        "The maximum number of Mercure entries in one token's `authorization_details`. A token with more is \
         answered with 401.",
    ),
    Row::hub(
        "topics_per_token",
        Form::COUNT,
        |draft| (&mut draft.hub.limits.granted_topics).into(),
        "The maximum number of topics over all Mercure entries of one token. A token with more is answered \
         with 401.",
    ),
    Row::directive("topic_matcher_cache", "<n>", switches::cache_size, NO_EFFECT),
    Row::directive(
        "topic_selector_cache",
        "<n> [<shards>]",
        switches::cache_size,
        NO_EFFECT,
    ),
    Row::directive("lru_cache", "<n> [<shards>]", switches::cache_size, NO_EFFECT),
    Row::directive(
        "subscriber_list_cache_size",
        "<n>",
        switches::list_cache_size,
        NO_EFFECT,
    ),
];

const NO_EFFECT: &str =
    "Accepted for existing files, without effect: matching needs no cache to size.";
