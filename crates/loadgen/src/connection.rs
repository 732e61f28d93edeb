//! One HTTP/1.1 connection, opened ahead of use and driven by its consumer.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use vllm_bench_record::RunClock;

use crate::capture::Tracker;
use crate::config::ClientConfig;
use crate::error::LoadError;
use crate::kernel_clock::WallMap;
use crate::target::Target;
use crate::transport::{Gate, GatedIo, KernelStamps, ReadStamp, Socket, Stream};

/// Opens connections; holds what TLS needs.
/// One a worker: its connections share a read buffer.
pub(crate) struct Connector {
    tls: Arc<rustls::ClientConfig>,
    clock: RunClock,
    /// `None`: arrivals are stamped by this program.
    wall: Option<WallMap>,
    scratch: Rc<RefCell<Box<[u8]>>>,
    /// Where arrivals are captured.
    tracker: Option<Tracker>,
}

/// What all workers' connectors are made from; can cross threads.
#[derive(Clone)]
pub(crate) struct ConnectorParts {
    tls: Arc<rustls::ClientConfig>,
    clock: RunClock,
    wall: Option<WallMap>,
    tracker: Option<Tracker>,
}

/// Largest read with kernel stamps, bytes.
const SCRATCH: usize = 256 << 10;

impl ConnectorParts {
    /// The connector of one worker.
    pub(crate) fn connector(self) -> Connector {
        let scratch = if self.wall.is_some() { SCRATCH } else { 0 };
        Connector {
            tls: self.tls,
            clock: self.clock,
            wall: self.wall,
            scratch: Rc::new(RefCell::new(vec![0; scratch].into_boxed_slice())),
            tracker: self.tracker,
        }
    }
}

impl ConnectorParts {
    pub(crate) fn new(
        config: &ClientConfig,
        clock: RunClock,
        wall: Option<WallMap>,
        tracker: Option<Tracker>,
    ) -> Result<Self, LoadError> {
        use rustls_pki_types::pem::PemObject as _;

        let certificate = |e: &dyn std::fmt::Display| LoadError::Certificate(e.to_string());
        let mut roots = rustls::RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = &config.ca_pem {
            for cert in rustls_pki_types::CertificateDer::pem_slice_iter(pem) {
                roots.add(cert.map_err(|e| certificate(&e))?).map_err(|e| certificate(&e))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| certificate(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), clock, wall, tracker })
    }
}

impl Connector {
    /// Opens a connection to `target`; the time is the caller's to bound.
    pub(crate) async fn open(&self, target: &Target) -> io::Result<Connection> {
        let tcp = connect_any(target.addrs()).await?;
        tcp.set_nodelay(true)?;
        let tracked = self.tracker.as_ref().and_then(|tracker| tracker.track(&tcp));
        let gate = Gate::new(self.clock, tracked);
        let kernel = self.kernel_stamps(&tcp);
        let socket = Socket::new(tcp, Rc::clone(&gate), kernel);
        let stream = if target.is_tls() {
            let name = rustls_pki_types::ServerName::try_from(target.host().to_owned())
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, socket).await?;
            Stream::Tls(Box::new(tls))
        } else {
            Stream::Plain(socket)
        };
        let io = GatedIo::new(stream, Rc::clone(&gate));
        let (sender, driver) =
            http1::Builder::new().handshake(io).await.map_err(io::Error::other)?;
        Ok(Connection { sender, driver: Some(Box::pin(driver)), gate })
    }
}

impl Connector {
    #[cfg(target_os = "linux")]
    fn kernel_stamps(&self, tcp: &TcpStream) -> Option<KernelStamps> {
        let wall = self.wall.clone()?;
        crate::kernel_clock::enable(tcp).then(|| KernelStamps {
            wall,
            scratch: Rc::clone(&self.scratch),
            receiver: crate::kernel_clock::Receiver::new(),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn kernel_stamps(&self, _tcp: &TcpStream) -> Option<KernelStamps> {
        None
    }
}

async fn connect_any(addrs: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
    for addr in addrs {
        match TcpStream::connect(addr).await {
            Ok(tcp) => return Ok(tcp),
            Err(e) => last = e,
        }
    }
    Err(last)
}

type Driver = Pin<Box<http1::Connection<GatedIo, Full<Bytes>>>>;

/// One open connection. Nothing runs in the background: [`Exchange`] drives it.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once hyper has finished with the connection.
    driver: Option<Driver>,
    gate: Rc<Gate>,
}

impl Connection {
    /// Whether it can carry a request; notices a close by the server while idle.
    pub(crate) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            // A gate left closed by the last answer would hide an end of file.
            self.gate.open();
            self.drive(cx);
            match self.driver {
                None => Poll::Ready(false),
                Some(_) => match self.sender.poll_ready(cx) {
                    Poll::Ready(ready) => Poll::Ready(ready.is_ok()),
                    // Still busy with an answer that was not read to its end.
                    Poll::Pending => Poll::Ready(false),
                },
            }
        })
        .await
    }

    /// The instants of the current request and the current read.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Begins to send `request`; poll [`Exchange::next`] for what comes back.
    pub(crate) fn send(&mut self, request: Request<Full<Bytes>>) -> Exchange<'_> {
        self.gate.start_request();
        self.gate.open();
        let head = Box::pin(self.sender.send_request(request));
        Exchange { connection: self, state: State::Head(head) }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && let Poll::Ready(result) = driver.as_mut().poll(cx)
        {
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended");
            }
            self.driver = None;
        }
    }
}

type HeadFuture = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>>>>;

enum State {
    Head(HeadFuture),
    Body(Incoming),
    Done,
}

/// A request on its way and its answer.
pub(crate) struct Exchange<'a> {
    connection: &'a mut Connection,
    state: State,
}

/// What comes back, in order: a head, data, an end; or an error.
pub(crate) enum Part {
    /// The response head.
    Head(hyper::http::response::Parts),
    /// Some bytes of the body.
    Data(Bytes),
    /// The body ended as its framing said.
    End,
    /// The exchange broke.
    Broken(hyper::Error),
}

impl Exchange<'_> {
    pub(crate) fn gate(&self) -> &Gate {
        &self.connection.gate
    }

    /// The next part and the read that brought it.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Part, ReadStamp)> {
        loop {
            if let Poll::Ready(part) = self.poll_state(cx) {
                return Poll::Ready((part, self.connection.gate.last_read()));
            }
            self.connection.drive(cx);
            if let Poll::Ready(part) = self.poll_state(cx) {
                return Poll::Ready((part, self.connection.gate.last_read()));
            }
            // Nothing left of the last read: the next one may come.
            if self.connection.driver.is_none() || !self.connection.gate.open() {
                return Poll::Pending;
            }
        }
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Part> {
        match &mut self.state {
            State::Head(head) => match head.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(response)) => {
                    let (parts, body) = response.into_parts();
                    self.state = State::Body(body);
                    Poll::Ready(Part::Head(parts))
                }
                Poll::Ready(Err(error)) => {
                    self.state = State::Done;
                    Poll::Ready(Part::Broken(error))
                }
            },
            State::Body(body) => match Pin::new(body).poll_frame(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Part::Data(data)),
                    Err(_trailers) => self.poll_state(cx),
                },
                Poll::Ready(Some(Err(error))) => {
                    self.state = State::Done;
                    Poll::Ready(Part::Broken(error))
                }
                Poll::Ready(None) => {
                    self.state = State::Done;
                    Poll::Ready(Part::End)
                }
            },
            State::Done => Poll::Ready(Part::End),
        }
    }
}
