//! Telemetry beside the load: which sources, started and stopped together.

use vllm_bench_loadgen::Target;
use vllm_bench_record::{EngineSample, GpuSample, Manifest, RunClock, TelemetryInfo};
use vllm_bench_storage::Writer;
use vllm_bench_telemetry::{
    BoxedSource, DcgmSource, EngineSource, Load, NvmlSource, Sampler, SimulatedSource, Source as _,
    TelemetryError,
};

use crate::evidence::Seen;
use crate::preflight::Ready;
use crate::scenario::GpuChoice;

/// The samplers of one run.
pub(crate) struct Samplers {
    gpu: Option<Sampler>,
    engine: Option<Sampler>,
}

impl Samplers {
    /// Starts what the scenario asks for; what cannot be had is one warning in
    /// the manifest, and the run goes on.
    pub(crate) fn start(
        ready: &Ready,
        clock: RunClock,
        writer: &Writer,
        seen: &Seen,
        load: &Load,
        manifest: &mut Manifest,
    ) -> Self {
        let telemetry = &ready.scenario.spec.telemetry;
        let mut warn = |message: String| manifest.warnings.push(message);
        let gpu = gpu_source(ready, load, &mut warn).and_then(|source| {
            let interval = telemetry.gpu_interval.0;
            let info = TelemetryInfo {
                source: source.name().to_owned(),
                interval_ms: interval.as_millis() as u64,
            };
            let writer = writer.handle();
            let seen = seen.gpu.clone();
            let sink = move |samples: Vec<GpuSample>| {
                // Nobody judges any more once the run is over.
                let _ = seen.send(samples.clone());
                writer.gpu(samples);
            };
            started(Sampler::start(source, clock, interval, sink), &mut warn).map(|s| (s, info))
        });
        let engine = if telemetry.engine { engine_source(ready, &mut warn) } else { None };
        let engine = engine.and_then(|source| {
            let interval = telemetry.engine_interval.0;
            let info = TelemetryInfo {
                source: source.name().to_owned(),
                interval_ms: interval.as_millis() as u64,
            };
            let writer = writer.handle();
            let seen = seen.engine.clone();
            let sink = move |samples: Vec<EngineSample>| {
                let _ = seen.send(samples.clone());
                writer.engine(samples);
            };
            started(Sampler::start(source, clock, interval, sink), &mut warn).map(|s| (s, info))
        });
        let (gpu, gpu_info) = gpu.unzip();
        let (engine, engine_info) = engine.unzip();
        manifest.gpu = gpu_info;
        manifest.engine = engine_info;
        Self { gpu, engine }
    }

    /// Stops them; what went wrong meanwhile, one line a source.
    pub(crate) fn stop(self) -> Vec<String> {
        let stop = |sampler: Option<Sampler>, what: &str| {
            let report = sampler?.stop();
            let first = report.first_error?;
            Some(format!(
                "{what}: {} of {} readings failed, first: {first}",
                report.failures, report.ticks
            ))
        };
        [stop(self.gpu, "GPU samples"), stop(self.engine, "the server's /metrics")]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn started(
    sampler: Result<Sampler, TelemetryError>,
    warn: &mut impl FnMut(String),
) -> Option<Sampler> {
    sampler.map_err(|e| warn(e.chain())).ok()
}

fn gpu_source(
    ready: &Ready,
    load: &Load,
    warn: &mut impl FnMut(String),
) -> Option<BoxedSource<GpuSample>> {
    let telemetry = &ready.scenario.spec.telemetry;
    let choice = match (telemetry.gpu, &telemetry.dcgm_url) {
        (GpuChoice::Auto, Some(_)) => GpuChoice::Dcgm,
        (choice, _) => choice,
    };
    let simulated = ready.servers.iter().all(|s| s.simulated);
    match choice {
        GpuChoice::Off => None,
        GpuChoice::Simulated if !simulated => {
            warn("no GPU samples: a simulated GPU goes with a simulated server only".into());
            None
        }
        GpuChoice::Simulated => Some(Box::new(SimulatedSource::new(load.clone()))),
        GpuChoice::Dcgm => match DcgmSource::new(telemetry.dcgm_url.clone().unwrap_or_default()) {
            Ok(source) => Some(Box::new(source)),
            Err(error) => {
                warn(format!("no GPU samples: {}", error.chain()));
                None
            }
        },
        GpuChoice::Auto | GpuChoice::Nvml => match NvmlSource::open(None) {
            Ok(source) => {
                if !ready.client.targets.iter().all(Target::is_local) {
                    warn("GPU samples are of this host, the server is on another; telemetry.dcgm_url samples that".into());
                }
                Some(Box::new(source))
            }
            Err(_) if choice == GpuChoice::Auto && simulated => {
                Some(Box::new(SimulatedSource::new(load.clone())))
            }
            // Its own words are enough here: the loader's chain repeats the library's name.
            Err(error) => {
                warn(error.to_string());
                None
            }
        },
    }
}

/// The servers' `/metrics`, where every server has them.
pub(crate) fn engine_source(ready: &Ready, warn: &mut impl FnMut(String)) -> Option<EngineSource> {
    let urls = ready.servers.iter().map(|s| &s.url);
    let key = ready.client.api_key.as_ref().map(|k| k.expose().to_owned());
    let source =
        EngineSource::new(urls, key).map_err(|e| warn(format!("no server metrics: {}", e.chain())));
    let source = source.ok()?;
    let mut readings = source.read_all(&RunClock::start()).into_iter();
    match readings.find_map(Result::err) {
        None => Some(source),
        Some(error) => {
            warn(format!("no server metrics: {}", error.chain()));
            None
        }
    }
}
