//! TLS: the same records over https, kernel stamps included; a certificate nobody vouches for is a row with its cause.
#![expect(clippy::unwrap_used, reason = "test code: a failure here is the test's failure")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use vllm_bench_loadgen::{
    ClientConfig, Load, LoadEvent, PreparedRequest, Stage, StopHandle, Target, Until, run_stage,
};
use vllm_bench_record::{FailureCause, Outcome, RequestRecord, RunClock};

const BODY: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n";

/// Starts an https server on localhost; its port and the authority that vouches for it, PEM.
fn serve() -> (u16, String) {
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, tcp);
            thread::spawn(move || answer_requests(&mut tls));
        }
    });
    (port, authority_pem)
}

/// Answers whatever comes; every request here fits one read.
fn answer_requests(tls: &mut (impl Read + Write)) {
    let mut request = [0; 4096];
    while tls.read(&mut request).is_ok_and(|n| n > 0) {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        if tls.write_all(answer.as_bytes()).and_then(|()| tls.flush()).is_err() {
            return;
        }
    }
}

fn run(config: &ClientConfig) -> Vec<RequestRecord> {
    let requests = (0..6).map(|n| PreparedRequest {
        request_id: format!("r{n}"),
        prompt_id: format!("p{n}"),
        session: n,
        turn: 0,
        body: "{}".into(),
        prompt_tokens: None,
        max_tokens: None,
        due: None,
    });
    let stage = Stage {
        index: 0,
        load: Load::Closed { concurrency: 2 },
        until: Until { requests: Some(6), ..Until::default() },
    };
    let mut records = Vec::new();
    run_stage(config, stage, requests, RunClock::start(), &StopHandle::new(), |event| {
        if let LoadEvent::RequestFinished(record) = event {
            records.push(*record);
        }
    })
    .unwrap();
    records
}

#[test]
fn https_is_measured_like_http() {
    let (port, authority) = serve();
    let target = Target::resolve(&format!("https://localhost:{port}")).unwrap();
    let config = ClientConfig { ca_pem: Some(authority.into_bytes()), ..ClientConfig::new(target) };
    let records = run(&config);
    assert_eq!(records.len(), 6);
    for record in &records {
        assert_eq!(record.outcome, Outcome::Completed);
        assert_eq!(record.answer.as_deref(), Some("Hi"));
        assert!(record.connect.is_none(), "opened, and shaken hands, before the stage");
        if cfg!(target_os = "linux") {
            assert!(record.chunks[0].client_lag.is_some(), "stamped under TLS");
        }
    }
}

#[test]
fn an_unknown_authority_is_a_row_with_its_cause() {
    let (port, _) = serve();
    let target = Target::resolve(&format!("https://localhost:{port}")).unwrap();
    let records = run(&ClientConfig::new(target));
    assert_eq!(records.len(), 6);
    for record in &records {
        assert!(
            matches!(&record.outcome, Outcome::Failed(f)
                if f.cause == FailureCause::Connect && f.message.contains("certificate")),
            "{:?}",
            record.outcome
        );
    }
}
