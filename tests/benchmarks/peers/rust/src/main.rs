//! The reflector of kube-rs under the measurement of tests/benchmarks/drivers/common.py: the Pods of one namespace,
//! typed, one closure for each event. It has no indexes; managedFields are cut, as its documentation advises.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, reflector, watcher, watcher::Event};
use kube::{Api, Client, Config, ResourceExt};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const NAMESPACE: &str = "default";

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct State {
    version: u64,
    objects: HashMap<String, String>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let given: HashMap<String, String> = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .chunks(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect();
    let config = json!({
        "clusters": [{"name": "bench", "cluster": {"server": given["--url"], "certificate-authority": given["--ca"]}}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    });
    let kubeconfig: Kubeconfig = serde_json::from_value(config)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let figures = measure(Client::try_from(config)?, given["--events"].parse()?).await?;
    println!("{figures}");
    Ok(())
}

async fn measure(client: Client, events: u64) -> Outcome<serde_json::Value> {
    let server = state(&client).await?.objects;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = resident("VmRSS")?;
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let began = Instant::now();
    let (pods, writer) = reflector::store::<Pod>();
    let shown = Arc::new(AtomicUsize::new(0));
    let (seen, mut last) = watch::channel(0_u64);
    let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let counted = shown.clone();
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|pod| pod.managed_fields_mut().clear())
        .reflect(writer);
    tokio::spawn(stream.for_each(move |event| {
        match event {
            Ok(Event::InitApply(_)) => {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Apply(pod)) => {
                seen.send_replace(pod.resource_version().and_then(|text| text.parse().ok()).unwrap_or(0));
            }
            Ok(_) => {}
            Err(error) => eprintln!("{error}"),
        }
        futures::future::ready(())
    }));
    pods.wait_until_ready().await?;
    while shown.load(Ordering::Relaxed) < server.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let peak = resident("VmHWM")?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (kept, count) = (resident("VmRSS")? - before, server.len() as f64);
    let (cpu, began) = (processor_seconds(), Instant::now());
    let expected = state(&client).await?.version + events;
    ask(&client, "POST", &format!("/bench/events?count={events}&rate=0")).await?;
    tokio::time::timeout(Duration::from_secs(120), last.wait_for(|version| *version >= expected)).await??;
    let burst = began.elapsed().as_secs_f64();
    let cpu = processor_seconds() - cpu;
    let now = state(&client).await?.objects;
    let held = pods.state();
    if held.len() != now.len() {
        return Err(format!("{} objects are held, {} on the server", held.len(), now.len()).into());
    }
    for pod in held {
        let uid = pod.uid().unwrap_or_default();
        if now.get(&uid) != pod.resource_version().as_ref() {
            return Err(format!("{} differs", pod.name_any()).into());
        }
    }
    Ok(json!({
        "sync_s": seconds, "sync_objects_per_s": count / seconds, "import_rss_mb": before / 1e6,
        "peak_growth_mb": (peak - before) / 1e6, "peak_mb": peak / 1e6, "kept_kb_per_object": kept / 1e3 / count,
        "events_per_s": events as f64 / burst, "cpu_us_per_event": cpu / events as f64 * 1e6,
    }))
}

async fn state(client: &Client) -> Outcome<State> {
    Ok(serde_json::from_str(&ask(client, "GET", "/bench/state").await?)?)
}

async fn ask(client: &Client, method: &str, path: &str) -> Outcome<String> {
    let request = http::Request::builder().method(method).uri(path).body(Vec::new())?;
    Ok(client.request_text(request).await?)
}

fn resident(field: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such line")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib * 1024.0)
}

fn processor_seconds() -> f64 {
    // SAFETY: a plain struct that getrusage fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
