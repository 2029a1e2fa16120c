//! The attacker's process, which yields to the hub and to honest clients.

use std::future::Future;
use std::io::{self, BufRead as _, Read as _};
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use super::args::{Attack, AttackerArgs};
use super::client::{Client, FORM, Tally};
use super::{http2, inputs};
use crate::error::Problem;
use crate::http::target::Target;
use crate::print;
use crate::process::allow_open_files;

/// The connections over all addresses of the attack that opens streams on them.
const CONNECTIONS: usize = 4000;
/// The connections over all addresses of the attacks that never complete what they begin.
const HALF_CONNECTIONS: usize = 10_000;

/// The line that is printed when the attack has begun.
pub(crate) const BEGUN: &str = "begun";

/// Attacks until standard input closes. Prints a line when the attack has begun, and the counts of its attempts at
/// the end. The first line of the input is the token for publishing: an argument would show in a list of processes.
///
/// # Errors
/// When it cannot start.
pub(crate) fn main(args: &AttackerArgs) -> Result<(), Problem> {
    // Clients and hub share this machine's processors; the attacker takes what the others leave.
    rustix::process::nice(args.nice).map_err(|error| Problem::Attacker(error.into()))?;
    allow_open_files(0)?;
    let mut token = String::new();
    io::stdin()
        .lock()
        .read_line(&mut token)
        .map_err(Problem::Attacker)?;
    let mut target = Target::parse(&args.url)?;
    if let (Attack::HalfHandshakes, Some(port)) = (args.attack, args.tls_port) {
        target.address.set_port(port);
    }
    let tally = Arc::new(Tally::new(args.attack));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::Attacker)?;
    let (ended, mut end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while io::stdin()
            .read(&mut ignored)
            .is_ok_and(|length| length > 0)
        {}
        _ = ended.send(());
    });
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..args.addresses {
            let client = Client {
                local: Ipv4Addr::new(127, 0, 0, number.saturating_add(2)).into(),
                target: target.clone(),
                publisher_token: token.trim_end().to_owned(),
                tally: Arc::clone(&tally),
            };
            begin(args.attack, args.addresses, &Arc::new(client), &mut tasks);
        }
        tokio::select! {
            () = tally.begun() => {
                // A bench that has ended reads none of it.
                _ = print::line(format_args!("{BEGUN}"));
                _ = end.await;
            }
            _ = &mut end => {}
        }
        // Before the tasks end, because the bench ends this process once it has this line.
        _ = print::line(format_args!("{}", tally.json()));
    });
    Ok(())
}

/// Begins the attack of one address.
fn begin(attack: Attack, addresses: u8, client: &Arc<Client>, tasks: &mut JoinSet<()>) {
    let each = |all: usize| all.div_ceil(usize::from(addresses));
    match attack {
        Attack::Harmless => workers(tasks, client, 8, harmless),
        Attack::Replay => workers(tasks, client, 4, replay),
        Attack::Patterns => streams(tasks, client, 200, inputs::optional_groups(0)),
        Attack::CustomGroups => streams(tasks, client, 50, inputs::custom_groups()),
        Attack::ManyTopics => {
            streams(tasks, client, 5, inputs::optional_groups(0));
            publisher(tasks, client, FORM, &inputs::many_topics());
        }
        Attack::Multiplexed => workers(tasks, client, 1, async |client: Arc<Client>| {
            let block = |stream| http2::subscription(&client, &inputs::bounded_groups(stream));
            http2::keep_streams(&client, 1 << 20, 150, block).await
        }),
        Attack::Churn => workers(tasks, client, 1, churn),
        Attack::Batches => {
            streams(tasks, client, 31, inputs::sharing());
            let lines = "Content-Type: application/x-ndjson\r\n";
            publisher(tasks, client, lines, &inputs::batch());
        }
        Attack::Readers => workers(tasks, client, 400, reader),
        Attack::Visits => workers(tasks, client, 16, async |client: Arc<Client>| {
            client.ask(&client.query(&inputs::topics())).await?;
            Ok(())
        }),
        Attack::Idle => workers(tasks, client, 400, async |client: Arc<Client>| {
            client.connect().await?.drain().await
        }),
        Attack::Connections => streams(tasks, client, each(CONNECTIONS), "match=a".to_owned()),
        Attack::Streams => workers(tasks, client, 20, async |client: Arc<Client>| {
            let block = |_| http2::subscription(&client, "match=a");
            http2::keep_streams(&client, 1 << 20, 1000, block).await
        }),
        Attack::Blocked => workers(tasks, client, 100, async |client: Arc<Client>| {
            let block = |_| http2::subscription(&client, inputs::EVERYTHING);
            http2::keep_streams(&client, 0, 10, block).await
        }),
        Attack::HalfHeads => workers(tasks, client, 64, async |client: Arc<Client>| {
            let mut head = client.request("GET", "?match=a", "X: ", &[]);
            head.truncate(head.len() - 2);
            head.resize(1 << 20, b'x');
            client.ask(&head).await?.1.drain().await
        }),
        Attack::IndexedFields => workers(tasks, client, 1, indexed_fields),
        Attack::TinyChunks => workers(tasks, client, 8, tiny_chunks),
        Attack::LargeQueries => workers(tasks, client, 16, large_query),
        Attack::HalfRequests => workers(tasks, client, each(HALF_CONNECTIONS), half_request),
        Attack::HalfHandshakes => workers(tasks, client, each(HALF_CONNECTIONS), half_handshake),
        Attack::Resets => workers(tasks, client, 20, async |client: Arc<Client>| {
            let block = http2::subscription(&client, "match=a");
            http2::reset_streams(&client, &block).await
        }),
        Attack::HugeBodies => workers(tasks, client, 8, huge_body),
    }
}

/// Runs an endless loop of attempts in each of `count` tasks. A refused attempt is repeated at once.
fn workers<A, F>(tasks: &mut JoinSet<()>, client: &Arc<Client>, count: usize, attempt: A)
where
    A: Fn(Arc<Client>) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    for _ in 0..count {
        let (client, attempt) = (Arc::clone(client), attempt.clone());
        tasks.spawn(async move {
            loop {
                if attempt(Arc::clone(&client)).await.is_err() {
                    client.tally.broke();
                }
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Keeps `count` streams open, each on its own connection, and reads them.
fn streams(tasks: &mut JoinSet<()>, client: &Arc<Client>, count: usize, form: String) {
    let form = Arc::new(form);
    workers(tasks, client, count, move |client: Arc<Client>| {
        let form = Arc::clone(&form);
        async move {
            let (status, mut stream) = client.ask(&client.query(&form)).await?;
            match status {
                200 => stream.drain().await,
                _ => Ok(()),
            }
        }
    });
}

/// Publishes the same body again and again.
fn publisher(tasks: &mut JoinSet<()>, client: &Arc<Client>, media_type: &str, body: &str) {
    let token = format!("Authorization: Bearer {}\r\n", client.publisher_token);
    let request = client.request("POST", "", &format!("{media_type}{token}"), body.as_bytes());
    let request = Arc::new(request);
    workers(tasks, client, 1, move |client: Arc<Client>| {
        let request = Arc::clone(&request);
        async move { client.ask(&request).await.map(|_| ()) }
    });
}

async fn harmless(client: Arc<Client>) -> io::Result<()> {
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n",
        client.target.authority
    );
    let mut connection = client.connect().await?;
    loop {
        connection.exchange(request.as_bytes()).await?;
    }
}

async fn replay(client: Arc<Client>) -> io::Result<()> {
    let form = format!("last_event_id=earliest&{}", inputs::optional_groups(0));
    let (status, mut stream) = client.ask(&client.query(&form)).await?;
    match status {
        // No update matches, so the end of the replay is not visible.
        200 => stream.drain_for(Duration::from_secs(1)).await,
        _ => Ok(()),
    }
}

/// A storm: all clients connect, and disconnect at once when all have an answer.
async fn churn(client: Arc<Client>) -> io::Result<()> {
    // Made once, so that a storm costs the hub's processor time rather than the attacker's.
    static FORMS: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..400).map(inputs::ordinary).collect());
    let mut coming = JoinSet::new();
    for form in FORMS.iter() {
        let client = Arc::clone(&client);
        coming.spawn(async move { client.ask(&client.query(form)).await });
    }
    let come = coming.join_all().await;
    let broken = come.iter().filter(|each| each.is_err()).count();
    (0..broken).for_each(|_| client.tally.broke());
    Ok(())
}

async fn reader(client: Arc<Client>) -> io::Result<()> {
    let query = "?last_event_id=earliest&match=https%3A%2F%2Fattack.example%2Fnothing";
    let (_, mut stream) = client.ask(&client.request("GET", query, "", &[])).await?;
    stream.drain_for(Duration::from_millis(200)).await
}

async fn indexed_fields(client: Arc<Client>) -> io::Result<()> {
    /// Slightly fewer fields than a head may have.
    const REPEATED: usize = 990;
    let mut http2 = http2::Http2::connect(&client, 1 << 20).await?;
    for stream in 0..1000 {
        let block = http2::repeated(&client, REPEATED, stream == 0);
        http2.open(&block, false).await?;
    }
    loop {
        http2.until_a_stream_ends().await?;
        let block = http2::repeated(&client, REPEATED, false);
        http2.open(&block, false).await?;
    }
}

async fn tiny_chunks(client: Arc<Client>) -> io::Result<()> {
    const CHUNK: &str = "1\r\na\r\n";
    let fields = format!("{FORM}Transfer-Encoding: chunked\r\n");
    let head = client.request("GET", "", &fields, &[]);
    // Its chunks frame the request, so it has no length.
    let head = [b"QUERY", head.strip_prefix(b"GET").unwrap_or(&head)].concat();
    let mut connection = client.connect().await?;
    connection.send(&head).await?;
    let chunks = CHUNK.repeat(10_000);
    // One byte less than the smallest bound, then silence.
    for _ in 0..104 {
        connection.send(chunks.as_bytes()).await?;
    }
    connection.status().await?;
    Ok(())
}

async fn large_query(client: Arc<Client>) -> io::Result<()> {
    let body = vec![b'a'; 10 << 20];
    let mut request = client.request("QUERY", "", FORM, &body);
    request.pop();
    let mut connection = client.connect().await?;
    for piece in request.chunks(1 << 20) {
        connection.send(piece).await?;
    }
    connection.status().await?;
    Ok(())
}

async fn half_request(client: Arc<Client>) -> io::Result<()> {
    let head = client.request("GET", "?match=a", "", &[]);
    half(&client, &head).await
}

async fn half_handshake(client: Arc<Client>) -> io::Result<()> {
    half(&client, inputs::CLIENT_HELLO).await
}

/// Sends the first half of something, and waits until the hub gives up.
async fn half(client: &Client, whole: &[u8]) -> io::Result<()> {
    let mut connection = client.connect().await?;
    let (half, _) = whole.split_at(whole.len() / 2);
    connection.send(half).await?;
    connection.drain().await
}

/// Sends a body that is longer than any bound, until the hub has refused it.
async fn huge_body(client: Arc<Client>) -> io::Result<()> {
    const CHUNK: usize = 1 << 20;
    let fields = format!(
        "{FORM}Authorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n",
        client.publisher_token
    );
    let head = client.request("GET", "", &fields, &[]);
    let head = [b"POST", head.strip_prefix(b"GET").unwrap_or(&head)].concat();
    let chunk = format!("{CHUNK:x}\r\n{}\r\n", "a".repeat(CHUNK)).into_bytes();
    let mut connection = client.connect().await?;
    connection.send(&head).await?;
    let (input, mut output) = connection.stream.split();
    let sent = async {
        let mut sent = 0;
        while sent < 1 << 30 && output.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
            client.tally.sent(chunk.len());
        }
    };
    // It refuses, and then closes, while more comes.
    let answer = async { input.readable().await };
    tokio::select! {
        () = sent => {}
        _ = answer => {}
    }
    connection.status().await?;
    Ok(())
}
