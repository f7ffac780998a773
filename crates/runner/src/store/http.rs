//! The HTTP connector under object_store's clients. It keeps what they would drop from an answer, and refuses what would
//! crash them.

use std::{future::Future, pin::Pin};

use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    },
};

/// The header of Amazon's answers with the region that a bucket is in.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The bucket is in another region than the one that the request was signed for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bucket is in region \"{bucket}\", the request was for region \"{request}\"")]
pub struct WrongRegion {
    pub bucket: String,
    pub request: String,
}

/// A URL that http::Uri accepts and reqwest does not: with port 99999, for one.
#[derive(Debug, thiserror::Error)]
#[error("the URL cannot be used")]
struct UnusableUrl;

/// Makes reqwest clients whose answers are checked.
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

/// The region in `Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/s3/aws4_request, ...`.
fn signed_region(request: &HttpRequest) -> Option<String> {
    let authorization = request.headers().get("authorization")?.to_str().ok()?;
    let (_, credential) = authorization.split_once("Credential=")?;
    let scope = credential.split(',').next()?;
    // A key may contain slashes, the parts after it may not.
    scope.rsplit('/').nth(2).map(str::to_owned)
}

/// The bucket's region in an answer that sends the client elsewhere, or refuses the signature's region.
fn wrong_region(response: &HttpResponse) -> Option<String> {
    matches!(response.status().as_u16(), 301 | 307 | 400).then_some(())?;
    response.headers().get(BUCKET_REGION)?.to_str().ok().map(str::to_owned)
}
