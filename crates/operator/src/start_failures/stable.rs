//! Removes the parts of Kubernetes' messages that differ between attempts. With them, each attempt would
//! change the status.

/// The maximum length of the prefix of a generated name. The API server appends a random part of
/// [`RANDOM_LENGTH`] characters.
const GENERATED_PREFIX: usize = 58;
const RANDOM_LENGTH: usize = 5;

/// The minimum number of hexadecimal digits of a container's or sandbox's id.
const SHORTEST_ID: usize = 32;

/// Returns the message without UIDs, container ids and local ports, and with the names of the Job's pods
/// replaced by the Job's name.
pub fn stable(message: &str, job: &str) -> String {
    // The event recorder adds this prefix when it merges similar events.
    let mut rest = message.trim_start_matches("(combined from similar events): ");
    let mut stable = String::with_capacity(rest.len());
    while !rest.is_empty() {
        let token_end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(token_end);
        if is_pod_name(token, job) {
            stable.push_str(job);
        } else if is_local_port(&stable, token, after) {
            stable.pop();
            stable.push('-');
        } else if is_uid(token) || is_id(token) && !stable.ends_with("sha256:") {
            stable.push('…');
        } else {
            stable.push_str(token);
        }
        let separators_end = after.find(is_token).unwrap_or(after.len());
        let (separators, next) = after.split_at(separators_end);
        stable.push_str(separators);
        rest = next;
    }
    stable
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// Returns whether a token is the name of one of the Job's pods: `<job>-<random>`, where a long job name is
/// shortened.
fn is_pod_name(token: &str, job: &str) -> bool {
    let mut prefix = format!("{job}-");
    prefix.truncate(GENERATED_PREFIX);
    token.strip_prefix(&prefix).is_some_and(|random| random.len() == RANDOM_LENGTH)
}

/// Returns whether a token is the first port in a text such as `10.0.0.7:41234->10.0.0.10:53`. The token ends
/// with the dash of the arrow.
fn is_local_port(before: &str, token: &str, after: &str) -> bool {
    let port = token.strip_suffix('-').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    port.is_some() && before.ends_with(':') && after.starts_with('>')
}

fn is_uid(token: &str) -> bool {
    let lengths = token.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && token.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_id(token: &str) -> bool {
    token.len() >= SHORTEST_ID && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "shop-backup-29923291";

    #[test]
    fn start_failure_message_is_the_same_at_each_retry() {
        let id = |digit: &str| digit.repeat(64);
        let uid = |digit: &str| format!("0f0e111{digit}-1111-4222-8333-444455556666");
        let messages = [("7xk2p", "a", "41234"), ("q9z4m", "b", "60001")].map(|(random, digit, port)| {
            format!(
                "pods \"{JOB}-{random}\": sandbox {}: /var/lib/kubelet/pods/{}/volumes: read udp 10.0.0.7:{port}->10.0.0.10:53: timeout",
                id(digit),
                uid(digit)
            )
        });
        let expected = format!(
            "pods \"{JOB}\": sandbox …: /var/lib/kubelet/pods/…/volumes: read udp 10.0.0.7->10.0.0.10:53: timeout"
        );
        assert_eq!(messages.map(|message| stable(&message, JOB)), [expected.clone(), expected]);
    }

    #[test]
    fn pod_of_a_job_with_a_long_name_is_recognized() {
        let job = format!("{}-backup-29923291", "p".repeat(45));
        let pod = format!("{}7xk2p", &job[..58]);
        assert_eq!(
            stable(&format!("pods \"{pod}\" is forbidden"), &job),
            format!("pods \"{job}\" is forbidden")
        );
    }

    #[test]
    fn failure_message_keeps_names_digests_and_volumes() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for message in [
            "pods \"another-backup-29923291-7xk2p\" is forbidden",
            &format!("image \"registry.example/postgres@{digest}\" not found"),
            "MountVolume.SetUp failed for volume \"pvc-0f0e1111-1111-4222-8333-444455556666\" : not found",
            "dial tcp 10.0.0.7:5432: connection refused",
        ] {
            assert_eq!(stable(message, JOB), message);
        }
    }
}
