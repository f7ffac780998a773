//! Simulates the CronJob controller and its Jobs like Kubernetes.

use domain::{operation::Operation, report::RunReport, schedule::Schedule};
use jiff::tz::TimeZone;
use pgbackup_desired::{ContainerExit, JobState, ObservedRun, Problem, UnexplainedWait};

use super::time::{SECOND, at};

/// The number of succeeded Jobs, and of failed Jobs, that are kept.
const HISTORY: usize = 3;

/// A CronJob as the operator wrote it last.
#[derive(Clone)]
pub struct CronJob {
    pub schedule: Schedule,
    pub zone: TimeZone,
    pub zone_name: String,
    pub suspend: bool,
    /// The field `startingDeadlineSeconds`, in milliseconds.
    pub deadline: Option<i64>,
    /// The suspicious backups that the policy acknowledges, as passed to its Jobs.
    pub acknowledged: Vec<String>,
    /// The field `lastScheduleTime`, or the time of creation, in milliseconds.
    pub last: i64,
}

impl CronJob {
    /// Returns the first slot after a time.
    pub fn after(&self, millis: i64) -> Option<i64> {
        self.schedule.after(&self.zone, at(millis)).map(jiff::Timestamp::as_millisecond)
    }

    /// Returns the newest slot that has no Job yet and that the starting deadline still allows.
    pub fn missed(&self, now: i64) -> Option<i64> {
        let earliest = self.deadline.map_or(self.last, |deadline| self.last.max(now - deadline));
        let slots = std::iter::successors(self.after(earliest), |slot| self.after(*slot));
        slots.take_while(|slot| *slot <= now).last()
    }
}

/// A pod of a Job.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is seen or not by itself")]
pub struct Pod {
    pub created: i64,
    /// The error of the node's clock, in milliseconds.
    pub skew: i64,
    pub running: bool,
    /// The report that the runner wrote last, as read through the kubelet.
    pub report: Option<RunReport>,
    pub container: Option<ContainerExit>,
    pub problem: Option<Problem>,
    /// Whether the pod has not started and its status does not explain why.
    pub silent: bool,
    /// Whether the pod was deleted from the cluster.
    pub deleted: bool,
    /// Whether the running operator has observed the pod.
    pub known: bool,
}

/// A Job of a CronJob.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub uid: String,
    pub operation: Operation,
    pub created: i64,
    /// Whether the CronJob controller created the Job.
    pub scheduled: bool,
    pub state: JobState,
    /// The time at which the Job ended; `None` once it is deleted.
    pub ended: Option<i64>,
    pub pods: Vec<Pod>,
    pub failures: u32,
    pub acknowledged: Vec<String>,
    /// Whether the Job was deleted from the cluster.
    pub deleted: bool,
    /// Whether the running operator has observed the Job.
    pub known: bool,
    /// The way in which the running pod will end.
    pub planned_end: super::attempt_end::AttemptEnd,
    /// The real cause why a pod does not start, which its status does not show.
    pub secret_reason: Option<&'static str>,
}

impl Job {
    pub fn is_active(&self) -> bool {
        self.state == JobState::Active
    }

    /// Returns the run as the operator reduces the Job and the pods that it has observed.
    pub fn observed(&self, now: i64) -> ObservedRun {
        let known: Vec<&Pod> = self.pods.iter().filter(|pod| pod.known).collect();
        let unexplained_wait = match known.last() {
            None => Some(UnexplainedWait { uid: self.uid.clone(), since: at(self.created) }),
            Some(pod) if pod.silent => {
                Some(UnexplainedWait { uid: self.uid.clone(), since: at(pod.created) })
            }
            Some(_) => None,
        };
        let unexplained_wait = unexplained_wait.filter(|_| self.is_active());
        let is_informative =
            |pod: &&&Pod| pod.report.is_some() || pod.container.is_some() || pod.problem.is_some();
        let informative = known.iter().rev().find(is_informative);
        let events =
            self.secret_reason.filter(|_| unexplained_wait.as_ref().is_some_and(|s| s.is_over(at(now))));
        ObservedRun {
            job: self.name.clone(),
            job_uid: self.uid.clone(),
            created: at(self.created / SECOND * SECOND),
            state: self.state.clone(),
            ended: self.ended.map(|ended| at(ended / SECOND * SECOND)),
            report: informative.and_then(|pod| pod.report.clone()),
            container: informative.and_then(|pod| pod.container.clone()),
            problem: events
                .map(|words| Problem {
                    reason: domain::reason::Reason::PodCannotStart,
                    message: words.to_owned(),
                    since: None,
                    cause: None,
                })
                .or_else(|| informative.and_then(|pod| pod.problem.clone())),
            unexplained_wait,
        }
    }
}

/// Removes the Jobs above the history limits, oldest first.
pub fn clean_up(jobs: &mut [Job], operation: Operation) {
    for succeeded in [true, false] {
        let is_of = |job: &&mut Job| {
            job.operation == operation
                && !job.deleted
                && !job.is_active()
                && (job.state == JobState::Succeeded) == succeeded
        };
        let mut ended: Vec<&mut Job> = jobs.iter_mut().filter(is_of).collect();
        ended.sort_by_key(|job| job.created);
        let surplus = ended.len().saturating_sub(HISTORY);
        for job in ended.into_iter().take(surplus) {
            job.deleted = true;
        }
    }
}
