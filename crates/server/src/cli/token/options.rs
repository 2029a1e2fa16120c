//! The flags of `talaria token`, and which of them exclude each other.

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use talaria_config::Error;
use talaria_config::guide::Page;

/// The generation of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MintGeneration {
    /// Mercure 1.0.
    #[value(name = "1.0")]
    V1,
    /// Mercure 0.x.
    #[value(name = "0.x")]
    V0,
}

/// The flags of minting.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The generation of Mercure: 1.0 with `authorization_details`, 0.x with the claim `mercure`.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = MintGeneration::V1)]
    pub(super) generation: MintGeneration,
    /// The `iss` claim: the issuer that the hub trusts; 0.x does without.
    #[arg(long, value_name = "ISSUER", value_parser = NonEmptyStringValueParser::new())]
    pub(super) iss: Option<String>,
    /// The `aud` claim: the hub's URL as its clients see it; not of 0.x.
    #[arg(long, value_name = "URL")]
    pub(super) aud: Option<String>,
    /// The signing key: a secret or a PEM private key.
    #[arg(long, value_name = "KEY|@FILE|@-", allow_hyphen_values = true)]
    pub(super) key: Option<String>,
    /// The algorithm: HS256 (the default for a secret), HS384, HS512, RS*, PS*, ES* or EdDSA.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) alg: Option<String>,
    /// The `kid` header.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) kid: Option<String>,
    /// The `sub` claim [default: a random urn:uuid; none in 0.x].
    #[arg(long, value_name = "SUBJECT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) sub: Option<String>,
    /// The `client_id` claim [default: the issuer]; not of 0.x.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(super) client_id: Option<String>,
    /// How long the token is valid [default: 1h; with --dev until 2100].
    #[arg(long, value_name = "DURATION")]
    pub(super) ttl: Option<String>,
    /// JSON that describes the subscriber, for its subscribe grant.
    #[arg(long, value_name = "JSON|@FILE")]
    pub(super) payload: Option<String>,
    /// Also write header and claims to standard error.
    #[arg(long)]
    pub(super) pretty: bool,
    /// A topic that may be published to, `*` for all, in 0.x also a URI Template; repeatable.
    #[arg(long, value_name = "TOPIC")]
    pub(super) publish: Vec<String>,
    /// A URL Pattern of topics that may be published to; repeatable; not of 0.x.
    #[arg(long, value_name = "PATTERN")]
    pub(super) publish_urlpattern: Vec<String>,
    /// A topic whose private updates may be received, `*` for all, in 0.x also a URI Template;
    /// repeatable.
    #[arg(long, value_name = "TOPIC")]
    pub(super) subscribe: Vec<String>,
    /// A URL Pattern of topics whose private updates may be received; repeatable; not of 0.x.
    #[arg(long, value_name = "PATTERN")]
    pub(super) subscribe_urlpattern: Vec<String>,
    /// Fill what is missing for a hub at https://localhost with the well-known development key,
    /// valid until 2100 unless --ttl says otherwise. Not for `talaria dev`, which has another key and
    /// URL: it prints how to make a token for itself.
    #[arg(long)]
    pub(super) dev: bool,
}

impl Args {
    /// Refuses options that would have no effect beside others, so that none is ignored.
    ///
    /// # Errors
    ///
    /// There is such an option.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is_older = self.generation == MintGeneration::V0;
        let of_1_0 = [
            (
                "--aud",
                self.aud.is_some(),
                "no hub reads the audience of a 0.x token: leave it out",
            ),
            (
                "--client-id",
                self.client_id.is_some(),
                "no hub reads the client of a 0.x token: leave it out",
            ),
            (
                "--publish-urlpattern",
                !self.publish_urlpattern.is_empty(),
                "write a URI Template, such as https://example.com/books/{id}, with --publish",
            ),
            (
                "--subscribe-urlpattern",
                !self.subscribe_urlpattern.is_empty(),
                "write a URI Template, such as https://example.com/books/{id}, with --subscribe",
            ),
        ];
        for (option, is_given, remedy) in of_1_0 {
            if is_older && is_given {
                return Err(Error::new(format!(
                    "{option} is of Mercure 1.0, and --generation is 0.x"
                ))
                .remedy(format!("{remedy}; or mint a token of 1.0"))
                .page(Page::GENERATIONS));
            }
        }
        let stdin = |value: &Option<String>| value.as_deref() == Some("@-");
        if stdin(&self.key) && stdin(&self.payload) {
            return Err(
                Error::new("--payload @-: --key reads standard input already")
                    .remedy("give one of them in a file"),
            );
        }
        if self.dev && self.needs_no_filling() {
            return Err(
                Error::new("--dev would change nothing: all that it fills in is given")
                    .remedy("leave it out"),
            );
        }
        Ok(())
    }

    /// Whether it names a topic.
    pub(super) fn has_grant(&self) -> bool {
        [
            &self.publish,
            &self.publish_urlpattern,
            &self.subscribe,
            &self.subscribe_urlpattern,
        ]
        .iter()
        .any(|topics| !topics.is_empty())
    }

    fn needs_no_filling(&self) -> bool {
        let names =
            self.generation == MintGeneration::V0 || self.iss.is_some() && self.aud.is_some();
        names && self.key.is_some() && self.ttl.is_some() && self.has_grant()
    }
}
