// Package cron compares the times of `kubectl pgbackup next`, which are those of the operator's status, with the
// library that decides when the CronJob controller starts Jobs.
package cron

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// A fixed seed, so that a failure is repeated in the next run. Another one may be tried by hand.
const seed = 20261123

// The number of runs that are compared for each schedule.
const runs = 12

// Zones with all kinds of clock changes: none; of one hour, north and south of the equator; of half an hour; of two hours; at
// midnight; with unusual offsets. Zones whose rules changed recently are excluded, because the result would depend on the age of the
// time zone database, here and in the cluster.
var zones = []string{
	"Etc/UTC", "UTC", "Etc/GMT+5", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo",
	"Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles", "America/St_Johns",
	"Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "America/Santiago",
	"Asia/Beirut", "Antarctica/Troll", "America/Argentina/Buenos_Aires",
}

// Schedules that people commonly write, including special ones, in every zone.
var common = []string{
	"* * * * *", "15 2 * * *", "30 2 * * *", "0 0 * * *", "30 1 * * *", "0 3 * * *", "*/15 * * * *", "5/20 * * * *",
	"0 */6 * * *", "0 1-5/2 * * *", "0 2 * * mon-FRI", "0 2 * JAN,jul sun", "30 4 1,15 * 5", "0 0 13 * fri",
	"0 4 31 * *", "0 4 29 2 *", "0 0 */10 * Sun", "0 12 ? * ?", "1,,2 0 * * *", "+5 2 * * *", "59 23 31 12 *",
	"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly",
}

type question struct{ schedule, zone, from string }

func TestCommonSchedulesRunLikeTheCronJobController(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 1))
	var questions []question
	for _, schedule := range common {
		for _, zone := range zones {
			questions = append(questions, question{schedule, zone, moment(random)})
		}
	}
	compare(t, questions)
}

func TestRandomSchedulesRunLikeTheCronJobController(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 2))
	var questions []question
	for len(questions) < 3000 {
		zone := zones[random.IntN(len(zones))]
		questions = append(questions, question{line(random), zone, moment(random)})
	}
	compare(t, questions)
}

// Tests the hours around each change of the clocks, where implementations differ most.
func TestSchedulesAtClockChangesRunLikeTheCronJobController(t *testing.T) {
	var questions []question
	for _, zone := range zones {
		for _, change := range changes(t, zone) {
			local := change.Add(-time.Minute)
			for _, schedule := range []string{
				"*/10 * * * *", "0 * * * *", "30 0-4 * * *", "0 0 * * *",
				fmt.Sprintf("%d %d * * *", local.Minute(), local.Hour()),
				fmt.Sprintf("30 %d %d * *", change.Hour(), change.Day()),
			} {
				from := change.Add(-3 * time.Hour).UTC().Format(time.RFC3339)
				questions = append(questions, question{schedule, zone, from})
			}
		}
	}
	compare(t, questions)
}

// Tests schedules with H, which is resolved for each policy. The heading of the output and the CronJob contain the
// resolved schedule.
func TestHashedSchedulesRunLikeTheCronJobController(t *testing.T) {
	for at, schedule := range []string{
		"H * * * *", "H 2 * * *", "H H * * *", "H H(1-5) * * 1-5", "H/15 * * * *", "H(0-29)/10 H * * 0", "0 H/6 * * *",
		"H(0-29),H(30-59) 2 1 * *", "H H 1,15 * sun", "H H(20-23) * jan-jun *", "H 0 1 */3 *", "H(50-59) 23 31 * *",
	} {
		policy := fmt.Sprintf("shop/policy-%d", at)
		args := []string{"--schedule", schedule, "--time-zone", "Europe/Berlin", "--policy", policy, "--from", "2026-10-24T00:00:00Z"}
		heading, _, err := next(args...)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(heading, "(")
		effective := rest[:strings.LastIndex(strings.SplitN(rest, "\n", 2)[0], ")")]
		if strings.Contains(effective, "H") {
			t.Errorf("%s became %s", schedule, effective)
		}
		printed, _, err := next(append(args, "--count", fmt.Sprint(runs), "-o", "json")...)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, question{effective, "Europe/Berlin", "2026-10-24T00:00:00Z"}, printed)
	}
}

// Tests that the plugin accepts every schedule that the controller accepts, except those whose times cannot be known in
// advance, and rejects every other one with one line.
func TestPluginAndControllerAcceptTheSameSchedules(t *testing.T) {
	random := rand.New(rand.NewPCG(seed, 3))
	var taken, refused int
	var questions []question
	for range 2500 {
		questions = append(questions, question{schedule: damaged(random)})
	}
	each(questions, func(one question) {
		schedule, theirs := parse(one.schedule, "Etc/UTC")
		_, said, err := next("--schedule", one.schedule, "--count", "1", "-o", "json", "--from", "2026-01-01T00:00:00Z")
		count.Lock()
		defer count.Unlock()
		switch {
		case err == nil:
			taken++
			if theirs != nil {
				t.Errorf("%q is taken, but: %v", one.schedule, theirs)
			}
		case strings.Count(strings.TrimSpace(said), "\n") > 0 || !strings.HasPrefix(said, "error: --schedule: "):
			t.Errorf("%q: %q", one.schedule, said)
		default:
			refused++
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%q: %v", one.schedule, err)
			}
			// The controller also accepts schedules without any date: dates that no month has, and fields without values.
			if theirs == nil && !schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
				t.Errorf("%q is refused, but the controller takes it: %s", one.schedule, said)
			}
		}
	})
	if taken < 250 || refused < 250 {
		t.Errorf("%d were taken and %d refused: these say little", taken, refused)
	}
}

var count sync.Mutex

func compare(t *testing.T, questions []question) {
	t.Helper()
	several := 0
	each(questions, func(one question) {
		printed, said, err := next("--schedule", one.schedule, "--time-zone", one.zone, "--from", one.from, "--count", fmt.Sprint(runs), "-o", "json")
		count.Lock()
		defer count.Unlock()
		if err != nil {
			// Of the valid schedules, the plugin rejects only those without any date.
			schedule, theirs := parse(one.schedule, one.zone)
			if theirs != nil || !strings.Contains(said, "matches no date") || !schedule.Next(start(t, one)).IsZero() {
				t.Errorf("%v: %v %s", one, err, said)
			}
			return
		}
		if agree(t, one, printed) == runs {
			several++
		}
	})
	if several < len(questions)/2 {
		t.Errorf("only %d of %d schedules had %d runs", several, len(questions), runs)
	}
	t.Logf("%d schedules, %d of them with %d runs", len(questions), several, runs)
}

// agree checks that the plugin's times are those of the library. It returns their number.
func agree(t *testing.T, one question, printed string) int {
	t.Helper()
	var ours struct{ Next []string }
	if err := json.Unmarshal([]byte(printed), &ours); err != nil {
		t.Fatalf("%v: %v in %q", one, err, printed)
	}
	schedule, err := parse(one.schedule, one.zone)
	if err != nil {
		t.Errorf("%v: %v", one, err)
		return 0
	}
	var theirs []string
	for at := schedule.Next(start(t, one)); !at.IsZero() && len(theirs) < runs; at = schedule.Next(at) {
		theirs = append(theirs, at.UTC().Format(time.RFC3339))
	}
	if strings.Join(ours.Next, " ") != strings.Join(theirs, " ") {
		t.Errorf("%v: we say\n%v, the controller\n%v", one, ours.Next, theirs)
	}
	return len(theirs)
}

// parse does the same as formatSchedule in pkg/controller/cronjob of Kubernetes.
func parse(schedule, zone string) (cron.Schedule, error) {
	if strings.Contains(schedule, "TZ") {
		return nil, errors.New("cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return nil, err
	}
	return cron.ParseStandard(fmt.Sprintf("TZ=%s %s", zone, schedule))
}

func start(t *testing.T, one question) time.Time {
	from, err := time.Parse(time.RFC3339, one.from)
	if err != nil {
		t.Fatal(err)
	}
	return from
}

// next runs `kubectl pgbackup next` and returns its output.
func next(args ...string) (stdout, stderr string, err error) {
	program := os.Getenv("PGBACKUP_PLUGIN")
	if program == "" {
		program = "../../target/" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-unknown-linux-gnu" + "/debug/kubectl-pgbackup"
	}
	command := exec.Command(program, append([]string{"next"}, args...)...)
	var out, words strings.Builder
	command.Stdout, command.Stderr = &out, &words
	err = command.Run()
	return out.String(), words.String(), err
}
