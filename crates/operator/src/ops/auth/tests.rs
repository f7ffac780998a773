//! Callers of a gate with a fake API server. It knows the token `good` and tokens that begin with it, never
//! responds to tokens that begin with `slow`, and allows every caller to get the policies in the namespace
//! `shop`.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::http::{Request, Response};
use futures::{FutureExt as _, future::join_all};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// The numbers of TokenReviews and of SubjectAccessReviews.
type Reviews = Arc<[AtomicUsize; 2]>;

async fn answer(request: Request<Body>, reviews: Reviews) -> Result<Response<Body>, Infallible> {
    let sent = request.into_body().collect_bytes().await.unwrap();
    let mut sent: Value = serde_json::from_slice(&sent).unwrap();
    let token = sent["spec"]["token"].as_str().unwrap_or_default().to_owned();
    sent["status"] = if sent["kind"] == "TokenReview" {
        reviews[0].fetch_add(1, Ordering::SeqCst);
        if token.starts_with("slow") {
            std::future::pending::<()>().await;
        }
        json!({"authenticated": token.starts_with("good"), "user": {"username": token}})
    } else {
        reviews[1].fetch_add(1, Ordering::SeqCst);
        json!({"allowed": sent["spec"]["resourceAttributes"]["namespace"] == "shop"})
    };
    Ok(Response::new(Body::from(sent.to_string().into_bytes())))
}

fn gate() -> (Gate, Reviews) {
    let reviews = Reviews::default();
    let counted = reviews.clone();
    let client = Client::new(tower::service_fn(move |request| answer(request, counted.clone())), "n");
    (Gate::new(client, OpsAuth::Token), reviews)
}

fn counts(reviews: &Reviews) -> [usize; 2] {
    [0, 1].map(|at| reviews[at].load(Ordering::SeqCst))
}

fn with(authorization: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())])
}

fn bearer(token: &str) -> HeaderMap {
    with(&format!("Bearer {token}"))
}

fn basic(pair: &str) -> HeaderMap {
    with(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

fn shop(name: &str) -> Target {
    Target::Policy("shop".to_owned(), name.to_owned())
}

#[test]
fn token_is_read_from_bearer_and_basic_authorization() {
    for (headers, wanted) in [
        (bearer("t.o-k_en"), Some("t.o-k_en")),
        (with("bearer t"), Some("t")),
        (basic("me:t"), Some("t")),
        (basic(":t:with:colons"), Some("t:with:colons")),
        (with("basic bWU6dA=="), Some("t")),
        (HeaderMap::new(), None),
        (bearer(""), None),
        (basic("me:"), None),
        (basic("nocolon"), None),
        (with("Basic me:t"), None),
        (with("Basic /////w=="), None),
        (with("Digest t"), None),
        (with("t"), None),
    ] {
        let wanted = wanted.map(str::to_owned).ok_or(AuthError::Unauthenticated);
        assert_eq!(token(&headers), wanted, "{headers:?}");
    }
}

#[tokio::test]
async fn several_authorization_headers_are_rejected() {
    let (gate, reviews) = gate();
    for second in ["Bearer other", "Bearer good", "Basic Zm9v"] {
        let mut headers = bearer("good");
        headers.append(AUTHORIZATION, HeaderValue::from_str(second).unwrap());
        assert_eq!(gate.caller(&headers).await.err(), Some(AuthError::SeveralHeaders), "{second}");
    }
    assert_eq!(counts(&reviews), [0, 0]);
}

#[tokio::test]
async fn token_sent_as_bearer_or_basic_password_is_reviewed_once() {
    let (gate, reviews) = gate();
    let caller = gate.caller(&basic("anything:good")).await.unwrap();
    assert_eq!(caller.0.unwrap().user.username.as_deref(), Some("good"));
    assert!(gate.caller(&bearer("good")).await.is_ok());
    assert_eq!(counts(&reviews), [1, 0]);
    let unknown = gate.caller(&basic("anything:wrong")).await;
    assert_eq!(unknown.err(), Some(AuthError::Unauthenticated));
}

#[tokio::test]
async fn rejected_tokens_are_cached_up_to_a_limit() {
    let (gate, reviews) = gate();
    for _ in 0..5 {
        assert_eq!(gate.caller(&bearer("wrong")).await.err(), Some(AuthError::Unauthenticated));
    }
    assert_eq!(counts(&reviews), [1, 0]);
    for number in 0..UNKNOWN_TOKENS_MAX {
        let _ = gate.caller(&bearer(&format!("wrong{number}"))).await;
    }
    assert!(gate.caller(&bearer("wrong")).await.is_err());
    assert_eq!(counts(&reviews), [UNKNOWN_TOKENS_MAX + 2, 0], "the oldest left the cache");
}

#[tokio::test]
async fn known_caller_is_served_during_a_flood_of_tokens() {
    let (mut gate, _) = gate();
    let known = gate.caller(&bearer("good")).await.unwrap();
    gate.token_review_wait = Duration::from_millis(50);
    let headers: Vec<HeaderMap> =
        (0..CONCURRENT_REVIEWS * 2).map(|number| bearer(&format!("slow{number}"))).collect();
    let flood = join_all(headers.iter().map(|headers| gate.caller(headers)));
    let others = async {
        assert!(gate.caller(&bearer("good")).await.is_ok());
        assert!(gate.may(&known, shop("a")).await.unwrap());
        // A new caller does not wait forever either.
        gate.caller(&bearer("good-too")).await.err()
    };
    tokio::select! {
        biased;
        _ = flood => panic!("the API server answers none of them"),
        new = others => assert_eq!(new, Some(AuthError::Unavailable)),
    }
}

#[tokio::test]
async fn each_caller_has_its_own_limited_permission_cache() {
    let (gate, reviews) = gate();
    let caller = async |token: &str| gate.caller(&bearer(token)).await.unwrap();
    let (greedy, modest) = (caller("good-greedy").await, caller("good-modest").await);
    assert!(gate.may(&modest, shop("a")).await.unwrap());
    for number in 0..=PERMISSIONS_MAX {
        assert!(gate.may(&greedy, shop(&number.to_string())).await.unwrap());
    }
    let before = counts(&reviews);
    assert!(gate.may(&modest, shop("a")).await.unwrap());
    assert!(gate.may(&greedy, shop(&PERMISSIONS_MAX.to_string())).await.unwrap());
    assert_eq!(counts(&reviews), before, "both are cached");
    assert!(gate.may(&greedy, shop("0")).await.unwrap());
    assert_eq!(counts(&reviews)[1], before[1] + 1, "the oldest left the cache");
}

#[tokio::test]
async fn ops_auth_none_sends_no_reviews_to_the_api_server() {
    let (gate, reviews) = gate();
    let gate = Gate { auth: OpsAuth::None, ..gate };
    let caller = gate.caller(&HeaderMap::new()).now_or_never().unwrap().unwrap();
    assert!(gate.may(&caller, Target::All).await.unwrap());
    assert_eq!(counts(&reviews), [0, 0]);
}
