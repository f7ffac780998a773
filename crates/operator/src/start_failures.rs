//! Why a Job gets no pod, or a pod gets no container, where only events tell: a quota, an admission policy, a volume that
//! cannot be mounted. They are asked for only when something has not started for a while.

use std::time::Duration;

use desired::{Observed, Problem, UnexplainedWait};
use domain::{reason::Reason, report::cut};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client,
    api::{ListParams, ObjectList},
};

use crate::client::{CallError, call};

/// More warnings than an object of ours gets before it is clear what is wrong.
const LIMIT: u32 = 50;

/// As much of them as a message shows.
const WORDS: usize = 500;

/// The kubelet's words when it gives up for a moment: those before them say why.
const SAYS_NOTHING: &str = "timed out waiting for the condition";

/// No watch of ours shows when an event comes: a run that should have started just now is asked about often, so that
/// people hear within a minute why it did not.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(1)];

/// Puts into `observed` why its runs do not start; says when to ask again, if there are any that should have.
pub async fn explain(
    client: &Client,
    namespace: &str,
    observed: &mut Observed,
    now: Timestamp,
) -> Option<Duration> {
    let mut again = None;
    for run in observed.runs_mut() {
        let Some(unexplained_wait) =
            run.unexplained_wait.as_ref().filter(|unexplained_wait| unexplained_wait.is_over(now))
        else {
            continue;
        };
        again = again.into_iter().chain([pause(unexplained_wait, now)]).min();
        match newest(client, namespace, &unexplained_wait.uid).await {
            Ok(Some(message)) => {
                run.problem =
                    Some(Problem { reason: Reason::PodCannotStart, message, since: None, cause: None });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(namespace, job = run.job, "why it does not start is not known: {error}");
            }
        }
    }
    again
}

fn pause(unexplained_wait: &UnexplainedWait, now: Timestamp) -> Duration {
    let is_young = now.duration_since(unexplained_wait.ends()) < YOUNG;
    LOOK_AGAIN[usize::from(!is_young)]
}

/// The words of the newest warning about an object.
async fn newest(client: &Client, namespace: &str, uid: &str) -> Result<Option<String>, CallError> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let about = format!("involvedObject.uid={uid},type=Warning");
    let events = call(api.list(&ListParams::default().fields(&about).limit(LIMIT))).await?;
    Ok(words(events))
}

fn words(events: ObjectList<Event>) -> Option<String> {
    let seen = |event: &Event| {
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
        let times = [series.map(|time| time.0), event.last_timestamp.as_ref().map(|time| time.0)];
        times.into_iter().flatten().max().or_else(|| event.event_time.as_ref().map(|time| time.0))
    };
    let told = events.items.into_iter().filter_map(|event| Some((seen(&event), event.message?)));
    let telling = told.filter(|(_, message)| !message.contains(SAYS_NOTHING));
    let (_, mut message) = telling.max()?;
    cut(&mut message, WORDS);
    Some(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_should_have_started_just_now_is_asked_about_often() {
        let since: Timestamp = "2026-11-23T02:15:00Z".parse().unwrap();
        let unexplained_wait = UnexplainedWait { uid: "j".to_owned(), since };
        let after = |seconds| pause(&unexplained_wait, since + SignedDuration::from_secs(seconds));
        assert_eq!([30, 60, 149, 150, 7200].map(after), [10, 10, 10, 60, 60].map(Duration::from_secs));
    }

    #[test]
    fn the_newest_warning_that_says_something_is_told() {
        let event = |at: &str, message: &str| json!({"metadata": {}, "involvedObject": {}, "lastTimestamp": at, "message": message});
        let events = serde_json::from_value(
            json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": [
                event("2026-11-23T02:15:09Z", "exceeded quota: pods"),
                event("2026-11-23T02:15:01Z", "denied by a policy"),
                event("2026-11-23T02:17:01Z", "unmounted volumes=[backups]: timed out waiting for the condition"),
            ]}),
        );
        assert_eq!(words(events.unwrap()).as_deref(), Some("exceeded quota: pods"));
        let none = json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": []});
        assert_eq!(words(serde_json::from_value(none).unwrap()), None);
    }
}
