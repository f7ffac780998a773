//! The CronJob controller and its Jobs, as Kubernetes has them.

use domain::{operation::Operation, report::RunReport, schedule::Schedule};
use jiff::tz::TimeZone;
use pgbackup_desired::{ContainerExit, JobState, ObservedRun, Problem, UnexplainedWait};

use super::time::{SECOND, at};

/// How many Jobs that succeeded, and how many that failed, stay.
const HISTORY: usize = 3;

/// A CronJob as the operator wrote it last.
#[derive(Clone)]
pub struct CronJob {
    pub schedule: Schedule,
    pub zone: TimeZone,
    pub zone_name: String,
    pub suspend: bool,
    /// `startingDeadlineSeconds`, in milliseconds.
    pub deadline: Option<i64>,
    /// What its Jobs are told of suspicious backups.
    pub acknowledged: Vec<String>,
    /// `lastScheduleTime`, or when it was made.
    pub last: i64,
}

impl CronJob {
    /// The first slot after a moment.
    pub fn after(&self, millis: i64) -> Option<i64> {
        self.schedule.after(&self.zone, at(millis)).map(jiff::Timestamp::as_millisecond)
    }

    /// The newest slot that was not started and may be.
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
    /// How far its node's clock is off, in milliseconds.
    pub skew: i64,
    pub running: bool,
    /// What it wrote last, as it comes through the kubelet.
    pub report: Option<RunReport>,
    pub container: Option<ContainerExit>,
    pub problem: Option<Problem>,
    /// Nothing of it has started and it does not say why.
    pub silent: bool,
    /// It is in the cluster no longer.
    pub deleted: bool,
    /// The operator that is at work has seen it.
    pub known: bool,
}

/// A Job.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub uid: String,
    pub operation: Operation,
    pub created: i64,
    /// The controller made it.
    pub scheduled: bool,
    pub state: JobState,
    /// When it ended, while it is in the cluster.
    pub ended: Option<i64>,
    pub pods: Vec<Pod>,
    pub failures: u32,
    pub acknowledged: Vec<String>,
    /// It is in the cluster no longer.
    pub deleted: bool,
    /// The operator that is at work has seen it.
    pub known: bool,
    /// What will become of the pod that runs.
    pub fate: super::fate::Fate,
    /// Why a silent pod does not start.
    pub secret_reason: Option<&'static str>,
}

impl Job {
    pub fn is_active(&self) -> bool {
        self.state == JobState::Active
    }

    /// As the operator that has seen what it has seen reduces it.
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
        let says = |pod: &&&Pod| pod.report.is_some() || pod.container.is_some() || pod.problem.is_some();
        let speaker = known.iter().rev().find(says);
        let events =
            self.secret_reason.filter(|_| unexplained_wait.as_ref().is_some_and(|s| s.is_over(at(now))));
        ObservedRun {
            job: self.name.clone(),
            job_uid: self.uid.clone(),
            created: at(self.created / SECOND * SECOND),
            state: self.state.clone(),
            ended: self.ended.map(|ended| at(ended / SECOND * SECOND)),
            report: speaker.and_then(|pod| pod.report.clone()),
            container: speaker.and_then(|pod| pod.container.clone()),
            problem: events
                .map(|words| Problem {
                    reason: domain::reason::Reason::PodCannotStart,
                    message: words.to_owned(),
                    since: None,
                    cause: None,
                })
                .or_else(|| speaker.and_then(|pod| pod.problem.clone())),
            unexplained_wait,
        }
    }
}

/// Removes the Jobs beyond the history limits, oldest first.
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
