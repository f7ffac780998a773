//! The HTTP connector of object_store's clients. It keeps a part of the response that the clients would drop
//! (the bucket's region), and rejects URLs that would crash them.

use std::{future::Future, pin::Pin};

use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    },
};

/// The header of Amazon's responses that contains the bucket's region.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// An error: the bucket is in another region than the one for which the request was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bucket is in region \"{bucket}\", the request was for region \"{request}\"")]
pub struct WrongRegion {
    pub bucket: String,
    pub request: String,
}

/// An error: http::Uri accepts the URL but reqwest does not, for example a URL with port 99999.
#[derive(Debug, thiserror::Error)]
#[error("the URL is invalid")]
struct UnusableUrl;

/// Creates reqwest clients whose requests and responses are checked.
#[derive(Debug, Default)]
pub struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        ReqwestConnector::default().connect(options).map(|client| HttpClient::new(Checked(client)))
    }
}

#[derive(Debug)]
struct Checked(HttpClient);

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Checked {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> Answer<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            if reqwest::Url::parse(&request.uri().to_string()).is_err() {
                return Err(HttpError::new(HttpErrorKind::Unknown, UnusableUrl));
            }
            let region = signed_region(&request);
            let response = self.0.execute(request).await?;
            match (wrong_region(&response), region) {
                (Some(bucket), Some(request)) if bucket != request => {
                    Err(HttpError::new(HttpErrorKind::Unknown, WrongRegion { bucket, request }))
                }
                _ => Ok(response),
            }
        })
    }
}

/// Returns the region in the header `Authorization: AWS4-HMAC-SHA256
/// Credential=<key>/<date>/<region>/s3/aws4_request, ...`.
fn signed_region(request: &HttpRequest) -> Option<String> {
    let authorization = request.headers().get("authorization")?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let scope = credential.split(',').next()?;
    // The key may contain slashes, but the parts after it cannot. So count from the end.
    scope.rsplit('/').nth(2).map(str::to_owned)
}

/// Returns the bucket's region from a response that redirects the client or rejects the region of the
/// signature.
fn wrong_region(response: &HttpResponse) -> Option<String> {
    matches!(response.status().as_u16(), 301 | 307 | 400).then_some(())?;
    response.headers().get(BUCKET_REGION)?.to_str().ok().map(str::to_owned)
}
