//! Storms: periods in which the API server rejects requests with 429 or 500.

use anyhow::Result;
use pgbackup_tests::Env;

/// Rejects every request of the operator with 429, like an overloaded API server.
const TOO_MANY_REQUESTS: &str = "
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: pgbackup-chaos}
spec:
  type: Limited
  limited: {nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: pgbackup-chaos}
spec:
  matchingPrecedence: 2
  priorityLevelConfiguration: {name: pgbackup-chaos}
  rules:
    - subjects: [{kind: ServiceAccount, serviceAccount: {name: pgbackup-operator, namespace: pgbackup-system}}]
      resourceRules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true}]
";

/// Rejects every write in the test's namespace with 500, like a webhook that is down.
const INTERNAL_ERROR: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: pgbackup-chaos}
webhooks:
  - name: nobody.pgbackup.dev
    clientConfig: {url: 'https://127.0.0.1:1/'}
    failurePolicy: Fail
    sideEffects: None
    admissionReviewVersions: [v1]
    timeoutSeconds: 1
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}
    rules:
      - {apiGroups: [batch], apiVersions: [v1], operations: [CREATE, UPDATE, DELETE], resources: [cronjobs, jobs]}
      - {apiGroups: [pgbackup.dev], apiVersions: ['*'], operations: [UPDATE], resources: [backuppolicies/status]}
";

/// The status code with which a storm rejects requests.
#[derive(Clone, Copy, Debug)]
pub enum Storm {
    /// The status code 429.
    TooManyRequests,
    /// The status code 500.
    InternalError,
}

impl Storm {
    fn manifest(self, env: &Env) -> String {
        match self {
            Self::TooManyRequests => TOO_MANY_REQUESTS.to_owned(),
            Self::InternalError => INTERNAL_ERROR.replace("NAMESPACE", &env.namespace),
        }
    }

    /// Starts the storm.
    pub fn begin(self, env: &Env) -> Result<()> {
        env.cluster_kubectl(&["apply", "-f", "-"], &self.manifest(env)).map(drop)
    }

    /// Ends the storm. Does nothing if it is not active.
    pub fn end(self, env: &Env) -> Result<()> {
        env.cluster_kubectl(&["delete", "--ignore-not-found", "-f", "-"], &self.manifest(env)).map(drop)
    }
}
