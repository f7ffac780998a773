//! Metrics of requests to the API server: their number by result, and their duration.
//!
//! Requests are counted outside kube's own retries: a request that succeeds at the third attempt counts once.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use http::{Request, Response, StatusCode};
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tower::{Layer, Service};

/// The operation label of requests that kube does not name, such as reading the server's version.
const OTHER: &str = "other";

/// The code label of requests without a response: the server did not answer, or the caller stopped waiting.
const NO_ANSWER: &str = "error";

type Label = (&'static str, &'static str);

/// Counters and durations of requests to the API server. Clones share them.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    ended: Family<[Label; 2], Counter>,
    duration: Family<[Label; 1], Histogram, fn() -> Histogram>,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        // 2 ms to 33 s, because a call times out after 30 s.
        let buckets = || Histogram::new(exponential_buckets(0.002, 4.0, 8));
        Self { ended: Family::default(), duration: Family::new_with_constructor(buckets) }
    }
}

impl ApiMetrics {
    pub fn register(&self, registry: &mut Registry) {
        let help = "Number of requests to the API server, by operation and class of the status code";
        registry.register("pgbackup_api_requests", help, self.ended.clone());
        let help = "Duration of requests to the API server until the response headers arrive, in seconds";
        registry.register_with_unit(
            "pgbackup_api_request_duration",
            help,
            Unit::Seconds,
            self.duration.clone(),
        );
    }
}

/// A request without a response yet. It is counted when it is dropped, even if the caller stopped waiting.
struct InFlight {
    metrics: ApiMetrics,
    operation: &'static str,
    since: Instant,
    code: &'static str,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let operation = ("operation", self.operation);
        self.metrics.ended.get_or_create(&[operation, ("code", self.code)]).inc();
        self.metrics.duration.get_or_create(&[operation]).observe(self.since.elapsed().as_secs_f64());
    }
}

/// Returns the class of a status code, so that the label has few values.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => OTHER,
    }
}

impl<S> Layer<S> for ApiMetrics {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.clone() }
    }
}

/// A service that counts its requests.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: ApiMetrics,
}

impl<S, Body, Answer> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // kube's name of the operation, for example "list" or "patch_status".
        let operation = request.extensions().get::<&'static str>().copied().unwrap_or(OTHER);
        let mut in_flight =
            InFlight { metrics: self.metrics.clone(), operation, since: Instant::now(), code: NO_ANSWER };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(answer) = &answer {
                in_flight.code = class(answer.status());
            }
            drop(in_flight);
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{future, io};

    use futures::FutureExt as _;
    use prometheus_client::encoding::text::encode;
    use tower::{ServiceBuilder, ServiceExt as _, service_fn};

    use super::*;

    fn request(operation: Option<&'static str>, body: u16) -> Request<u16> {
        let mut request = Request::new(body);
        if let Some(operation) = operation {
            request.extensions_mut().insert(operation);
        }
        request
    }

    fn scraped(metrics: &ApiMetrics) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        metrics.register(&mut registry);
        encode(&mut text, &registry).unwrap();
        text
    }

    #[tokio::test]
    async fn each_api_request_is_counted_by_operation_and_result() {
        let metrics = ApiMetrics::default();
        // Responds with the status in the request's body. 0: refuses the connection. 1: never responds.
        let server = service_fn(|request: Request<u16>| match *request.body() {
            0 => future::ready(Err(io::Error::from(io::ErrorKind::ConnectionRefused))).boxed(),
            1 => future::pending().boxed(),
            status => future::ready(Ok(Response::builder().status(status).body(()).unwrap())).boxed(),
        });
        let client = ServiceBuilder::new().layer(metrics.clone()).service(server);
        for (operation, body) in [
            (Some("list"), 200),
            (Some("list"), 200),
            (Some("list"), 404),
            (Some("patch"), 503),
            (Some("patch"), 0),
            (None, 200),
            (None, 302),
        ] {
            let answer = client.clone().oneshot(request(operation, body)).await;
            assert_eq!(answer.is_err(), body == 0, "{operation:?} {body}");
        }
        assert!(client.clone().oneshot(request(Some("watch"), 1)).now_or_never().is_none());

        let text = scraped(&metrics);
        for (operation, code, count) in [
            ("list", "2xx", 2),
            ("list", "4xx", 1),
            ("patch", "5xx", 1),
            ("patch", "error", 1),
            ("watch", "error", 1),
            ("other", "2xx", 1),
            ("other", "other", 1),
        ] {
            let line =
                format!("pgbackup_api_requests_total{{operation=\"{operation}\",code=\"{code}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        assert_eq!(text.matches("pgbackup_api_requests_total{").count(), 7, "{text}");
        let durations = "pgbackup_api_request_duration_seconds_count{operation=\"list\"} 3\n";
        assert!(text.contains(durations), "{text}");
    }
}
