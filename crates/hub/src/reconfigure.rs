//! Changes the options of a running hub.

use crate::hub::Hub;
use crate::options::HubOptions;

impl Hub {
    /// The same hub with other options: same log, same streams. Requests through the returned hub are judged
    /// by the new options. Serve it instead of this one from now on, and drop this one. A
    /// [router](Self::router) goes on with the hub that it was made of: to change options, keep the newest hub
    /// where your handler finds it, and call [`Self::handle`].
    ///
    /// # What ends
    /// A stream ends if the new options no longer permit what it rests on, and for no other reason:
    ///
    /// - the key that verified its token is no longer a [subscriber key](crate::access::Issuer::subscriber)
    ///   of the token's issuer, or that issuer is gone;
    /// - it has no token, and [`anonymous`](HubOptions::anonymous) is off (while an issuer has a subscriber
    ///   key);
    /// - its token names neither the [`resource_identifier`](HubOptions::resource_identifier), where the
    ///   request had reached the hub, nor one of the
    ///   [`accepted_audiences`](HubOptions::accepted_audiences);
    /// - the [`rule`](HubOptions::rule) no longer accepts the generation of its token;
    /// - its token lives longer than [`max_token_lifetime`](HubOptions::max_token_lifetime);
    /// - it selects or is granted topics by URL Patterns, and the [`base`](HubOptions::base) changes: the
    ///   patterns mean something else then. Streams of the [application](Self::subscribe) end for this reason
    ///   only.
    ///
    /// It ends with [`End::Revoked`](crate::End::Revoked). Nothing more is sent but a comment and a `retry`
    /// after which the client comes back, spread over three seconds. It resumes where it was, and is judged
    /// anew. A subscription that was announced is announced as ended.
    ///
    /// A [`KeySet`](crate::access::KeySet) stays the same key set if the new options hold the same `Arc`: then
    /// no stream ends, whatever keys its issuer publishes. In another set a key counts if the set has it when
    /// this is called, so fetch the new set before.
    ///
    /// # What else follows
    /// - Open streams keep their heartbeat, and the lifetime (`write_timeout`) that they were opened with.
    /// - Requests under way are answered by the options that they came under. A stream that one of them opens
    ///   is judged by the newest options as the others are.
    /// - [`budgets`](HubOptions::budgets) bound what is charged from now on. What clients hold stays counted,
    ///   even if it is more than the new bounds allow. A bound for one connection counts what was charged
    ///   while there was one.
    /// - [`subscriptions`](HubOptions::subscriptions): streams that are open when it is turned on are not
    ///   announced. When it is turned off, those that were announced are announced as ended when they end.
    /// - With a [`repeat_window`](HubOptions::repeat_window) before and after, what was published is
    ///   remembered.
    /// - [`Self::drain`], [`Self::drained`] and [`Self::used`] concern the streams of all configurations,
    ///   through whichever of the hubs they are called.
    ///
    /// Any hub that this returned may be reconfigured again, and so may this one: the options of the last call
    /// are the ones that count for open streams. A call wakes each stream that ends, and no other. The log
    /// cannot be changed in this way: build another hub for another log.
    ///
    /// ```
    /// use talaria_hub::access::{Algorithm, Issuer, Issuers, VerificationKey};
    /// use talaria_hub::protocol::Update;
    /// use talaria_hub::{Hub, HubOptions, SubscribeOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let hub = Hub::builder(Issuers::default()).build()?;
    /// let mut updates = hub.subscribe(SubscribeOptions::new().topic("/books/1")).await?;
    ///
    /// let key = VerificationKey::from_secret("0123456789abcdef0123456789abcdef", Algorithm::HS256)?;
    /// let issuer = Issuer::new("https://app.example").subscriber(key);
    /// let hub = hub.reconfigure(HubOptions::new(Issuers::new([issuer])?));
    ///
    /// hub.publish(Update::new("/books/1", "Iliad")).await?;
    /// let update = updates.next().await.ok_or("the stream has ended")?;
    /// assert_eq!(update.data, "Iliad");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "requests are judged by the new options only through the returned hub"]
    pub fn reconfigure(&self, options: HubOptions) -> Hub {
        self.with_options(options)
    }

    /// Ends the streams of this hub, those of the [application](Self::subscribe) included, and permits no further
    /// ones; each client is told to come back. The log and the hubs [beside](Self::beside) this one go on.
    pub fn retire(&self) {
        self.shared().permits.retire();
    }

    /// Another hub on the log of this one (B-254): what is published through one reaches the subscribers of both,
    /// and both list the subscriptions of both. Issuers, limits and all other options are its own, but for the
    /// [`base`](HubOptions::base), which is that of this hub. [`Self::drain`] and [`Self::drained`] concern the
    /// streams of both; [`Self::reconfigure`] and [`Self::used`] those of one.
    ///
    /// ```
    /// use talaria_hub::access::Issuers;
    /// use talaria_hub::protocol::Update;
    /// use talaria_hub::{Hub, HubOptions, SubscribeOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let hub = Hub::builder(Issuers::default()).build()?;
    /// let other = hub.beside(HubOptions::new(Issuers::default()));
    /// let mut updates = other.subscribe(SubscribeOptions::new().topic("/books/1")).await?;
    /// hub.publish(Update::new("/books/1", "Iliad")).await?;
    /// assert_eq!(updates.next().await.ok_or("the stream has ended")?.data, "Iliad");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "it is this hub that stays as it is"]
    pub fn beside(&self, options: HubOptions) -> Hub {
        self.with_other(options)
    }
}
