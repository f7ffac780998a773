//! Callers of a gate whose API server knows the token `good` and those that begin with it, and never answers to one that begins
//! with `slow`. Everybody may see the namespace `shop`.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::http::{HeaderValue, Request, Response};
use futures::{FutureExt as _, future::join_all};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// How often the API server was asked, by tokens and by rights.
type Asked = Arc<[AtomicUsize; 2]>;

async fn answer(request: Request<Body>, asked: Asked) -> Result<Response<Body>, Infallible> {
    let sent = request.into_body().collect_bytes().await.unwrap();
    let mut sent: Value = serde_json::from_slice(&sent).unwrap();
    let token = sent["spec"]["token"].as_str().unwrap_or_default().to_owned();
    sent["status"] = if sent["kind"] == "TokenReview" {
        asked[0].fetch_add(1, Ordering::SeqCst);
        if token.starts_with("slow") {
            std::future::pending::<()>().await;
        }
        json!({"authenticated": token.starts_with("good"), "user": {"username": token}})
    } else {
        asked[1].fetch_add(1, Ordering::SeqCst);
        json!({"allowed": sent["spec"]["resourceAttributes"]["namespace"] == "shop"})
    };
    Ok(Response::new(Body::from(sent.to_string().into_bytes())))
}

fn gate() -> (Gate, Asked) {
    let asked = Asked::default();
    let counted = asked.clone();
    let client = Client::new(tower::service_fn(move |request| answer(request, counted.clone())), "n");
    (Gate::new(client, OpsAuth::Token), asked)
}

fn counts(asked: &Asked) -> [usize; 2] {
    [0, 1].map(|at| asked[at].load(Ordering::SeqCst))
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
fn a_token_is_shown_as_a_bearer_or_as_a_password() {
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
        assert_eq!(token(&headers).as_deref(), wanted, "{headers:?}");
    }
}

#[tokio::test]
async fn a_caller_with_a_password_is_the_one_with_that_token() {
    let (gate, asked) = gate();
    let caller = gate.caller(&basic("anything:good")).await.unwrap();
    assert_eq!(caller.0.unwrap().user.username.as_deref(), Some("good"));
    assert!(gate.caller(&bearer("good")).await.is_ok());
    assert_eq!(counts(&asked), [1, 0], "asked for once, however it is shown");
    let wrong = gate.caller(&basic("anything:wrong")).await.map(|_| ());
    assert_eq!(wrong, Err(StatusCode::UNAUTHORIZED));
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_shown_again_at_once() {
    let (gate, asked) = gate();
    for _ in 0..5 {
        assert_eq!(gate.caller(&bearer("wrong")).await.map(|_| ()), Err(StatusCode::UNAUTHORIZED));
    }
    assert_eq!(counts(&asked), [1, 0]);
    for number in 0..MOST_REFUSED {
        let _ = gate.caller(&bearer(&format!("wrong{number}"))).await;
    }
    assert!(gate.caller(&bearer("wrong")).await.is_err());
    assert_eq!(counts(&asked), [MOST_REFUSED + 2, 0], "no more are remembered than there is room for");
}

#[tokio::test]
async fn a_flood_of_tokens_keeps_nobody_waiting_who_is_known() {
    let (mut gate, _) = gate();
    let known = gate.caller(&bearer("good")).await.unwrap();
    gate.turn = Duration::from_millis(50);
    let headers: Vec<HeaderMap> = (0..AT_ONCE * 2).map(|number| bearer(&format!("slow{number}"))).collect();
    let flood = join_all(headers.iter().map(|headers| gate.caller(headers)));
    let others = async {
        assert!(gate.caller(&bearer("good")).await.is_ok());
        assert!(gate.may(&known, shop("a")).await.unwrap());
        // Who is new is not kept waiting for ever, either.
        gate.caller(&bearer("good-too")).await.map(|_| ())
    };
    tokio::select! {
        biased;
        _ = flood => panic!("the API server answers none of them"),
        new = others => assert_eq!(new, Err(StatusCode::SERVICE_UNAVAILABLE)),
    }
}

#[tokio::test]
async fn a_caller_who_asks_for_invented_names_takes_nobody_elses_room() {
    let (gate, asked) = gate();
    let caller = async |token: &str| gate.caller(&bearer(token)).await.unwrap();
    let (greedy, modest) = (caller("good-greedy").await, caller("good-modest").await);
    assert!(gate.may(&modest, shop("a")).await.unwrap());
    for number in 0..=MOST_RIGHTS {
        assert!(gate.may(&greedy, shop(&number.to_string())).await.unwrap());
    }
    let before = counts(&asked);
    assert!(gate.may(&modest, shop("a")).await.unwrap());
    assert!(gate.may(&greedy, shop(&MOST_RIGHTS.to_string())).await.unwrap());
    assert_eq!(counts(&asked), before, "both are remembered");
    assert!(gate.may(&greedy, shop("0")).await.unwrap());
    assert_eq!(counts(&asked)[1], before[1] + 1, "its oldest one is not");
}

#[tokio::test]
async fn nobody_is_asked_for_a_token_where_none_is_wanted() {
    let (gate, asked) = gate();
    let gate = Gate { auth: OpsAuth::None, ..gate };
    let caller = gate.caller(&HeaderMap::new()).now_or_never().unwrap().unwrap();
    assert!(gate.may(&caller, Target::All).await.unwrap());
    assert_eq!(counts(&asked), [0, 0]);
}
